"""Event files of TensorBoard: a run for each trial, with its hyperparameters, its reports and its objective.

Written with TensorBoard's own messages and record writer; neither TensorFlow nor PyTorch is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reverie.exporting.attributes import metrics_of, settled
from reverie.exporting.libraries import library
from utilities.choices import ConstantParameter
from utilities.parameters import Parameter
from utilities.ranges import FloatParameter, IntParameter
from utilities.storage.chronicle import Chronicle
from utilities.trial import TrialRecord, TrialState, Value

_EXTRA = "tensorboard"
_OBJECTIVE, _REPORT = "objective", "report"


def write(chronicle: Chronicle, path: Path) -> None:
    """Write a folder of runs, of the trials that ended; needs tensorboard.

    Raises
    ------
    StudyError
        tensorboard is not installed.
    """
    events = _Events()
    path.mkdir(parents=True)
    events.save(path, [events.experiment(chronicle)], chronicle.header.created)
    records = settled(chronicle)
    width = len(str(max((record.trial.number for record in records), default=0)))
    for record in records:
        folder = path / f"trial-{record.trial.number:0{width}}"
        folder.mkdir()
        events.save(folder, events.of_trial(record, chronicle), record.started or record.completed or 0.0)


class _Events:
    """Makes and saves the messages that event files hold."""

    def __init__(self) -> None:
        self._event: Any = library("tensorboard.compat.proto.event_pb2", _EXTRA)
        self._summary: Any = library("tensorboard.compat.proto.summary_pb2", _EXTRA)
        self._api: Any = library("tensorboard.plugins.hparams.api_pb2", _EXTRA)
        self._data: Any = library("tensorboard.plugins.hparams.plugin_data_pb2", _EXTRA)
        self._metadata: Any = library("tensorboard.plugins.hparams.metadata", _EXTRA)
        self._records: Any = library("tensorboard.summary.writer.record_writer", _EXTRA)

    def save(self, folder: Path, events: list[Any], began: float) -> None:
        """Write a file of events, the first of which tells their version."""
        with (folder / f"events.out.tfevents.{int(began)}.reverie").open("wb") as file:
            writer = self._records.RecordWriter(file)
            version = self._event.Event(wall_time=began, file_version="brain.Event:2")
            for event in [version, *events]:
                writer.write(event.SerializeToString())
            writer.flush()

    def experiment(self, chronicle: Chronicle) -> Any:
        """Event that tells which hyperparameters and metrics there are."""
        infos = [self._parameter(name, parameter) for name, parameter in chronicle.replay.space.parameters.items()]
        names = chronicle.goals.names
        tags = {f"metrics/{name}": name for name in names} if len(names) > 1 else {_OBJECTIVE: _OBJECTIVE}
        metrics = [
            self._api.MetricInfo(name=self._api.MetricName(tag=tag), display_name=name) for tag, name in tags.items()
        ]
        experiment = self._api.Experiment(
            name=chronicle.header.name,
            hparam_infos=infos,
            metric_infos=metrics,
            time_created_secs=chronicle.header.created,
        )
        return self._plugin(self._metadata.EXPERIMENT_TAG, chronicle.header.created, experiment=experiment)

    def _parameter(self, name: str, parameter: Parameter) -> Any:
        """What the experiment tells of a parameter: its range or its choices."""
        info = self._api.HParamInfo(name=name, type=self._api.DATA_TYPE_FLOAT64)
        if isinstance(parameter, FloatParameter | IntParameter):
            info.domain_interval.min_value, info.domain_interval.max_value = parameter.low, parameter.high
            return info
        text = _is_text(parameter)
        options = _options(parameter)
        if text:
            info.type = self._api.DATA_TYPE_STRING
        elif isinstance(options[0], bool):
            info.type = self._api.DATA_TYPE_BOOL
        for option in options:
            setattr(info.domain_discrete.values.add(), *_field(option, text=text))
        return info

    def of_trial(self, record: TrialRecord, chronicle: Chronicle) -> list[Any]:
        """Events of a trial: its values, what it reported, its metrics and objective, how it ended."""
        assert record.outcome is not None
        began = record.started or record.completed or 0.0
        ended = record.completed or began
        space = chronicle.replay.space.parameters
        start = self._data.SessionStartInfo(start_time_secs=began, group_name=f"trial {record.trial.number}")
        for name, value in record.trial.config.items():
            setattr(start.hparams[name], *_field(value, text=_is_text(space[name])))
        events = [self._plugin(self._metadata.SESSION_START_INFO_TAG, began, session_start_info=start)]
        reports = sorted(chronicle.reports.get(record.trial.number, {}).items())
        events += [self._scalar(_REPORT, value, step, time) for step, (value, time) in reports]
        last = reports[-1][0] if reports else 0
        scalars = {f"metrics/{name}": value for name, value in metrics_of(record, chronicle.goals).items()}
        if record.outcome.objective is not None:
            scalars[_OBJECTIVE] = record.outcome.objective
        events += [self._scalar(name, value, last, ended) for name, value in scalars.items()]
        failed = record.state is TrialState.FAIL
        status = self._api.STATUS_FAILURE if failed else self._api.STATUS_SUCCESS
        end = self._data.SessionEndInfo(status=status, end_time_secs=ended)
        return [*events, self._plugin(self._metadata.SESSION_END_INFO_TAG, ended, session_end_info=end)]

    def _plugin(self, tag: str, when: float, **content: Any) -> Any:
        data = self._data.HParamsPluginData(version=self._metadata.PLUGIN_DATA_VERSION, **content)
        metadata = self._metadata.create_summary_metadata(data)
        nothing = self._metadata.NULL_TENSOR
        return self._of(self._summary.Summary.Value(tag=tag, metadata=metadata, tensor=nothing), when)

    def _scalar(self, tag: str, value: float, step: int, when: float) -> Any:
        return self._of(self._summary.Summary.Value(tag=tag, simple_value=value), when, step)

    def _of(self, value: Any, when: float, step: int = 0) -> Any:
        return self._event.Event(wall_time=when, step=step, summary=self._summary.Summary(value=[value]))


def _options(parameter: Parameter) -> Sequence[Value]:
    return [parameter.value] if isinstance(parameter, ConstantParameter) else getattr(parameter, "options", ())


def _is_text(parameter: Parameter) -> bool:
    """Whether values are written as text: there is one among the choices, or they are truths and numbers."""
    options = _options(parameter)
    return any(isinstance(option, str) for option in options) or len({isinstance(o, bool) for o in options}) > 1


def _field(value: Value, *, text: bool) -> tuple[str, bool | float | str]:
    """Field of a protobuf value, and what goes into it."""
    if text:
        return "string_value", str(value).lower() if isinstance(value, bool) else str(value)
    return ("bool_value", value) if isinstance(value, bool) else ("number_value", float(value))

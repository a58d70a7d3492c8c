"""Event files of TensorBoard: a run for each trial, with its hyperparameters, its reports and its objective.

Written with TensorBoard's own messages and record writer; neither TensorFlow nor PyTorch is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reverie.exporting.libraries import library
from utilities.choices import ConstantParameter
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
    width = len(str(max((record.trial.number for record in chronicle.ended), default=0)))
    for record in chronicle.ended:
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
        infos = []
        for name, parameter in chronicle.replay.space.parameters.items():
            info = self._api.HParamInfo(name=name)
            if isinstance(parameter, FloatParameter | IntParameter):
                info.type = self._api.DATA_TYPE_FLOAT64
                info.domain_interval.min_value, info.domain_interval.max_value = parameter.low, parameter.high
            else:
                options = [parameter.value] if isinstance(parameter, ConstantParameter) else parameter.options
                numbers = all(type(option) in (int, float) for option in options)
                truths = all(isinstance(option, bool) for option in options)
                info.type = (
                    self._api.DATA_TYPE_FLOAT64
                    if numbers
                    else self._api.DATA_TYPE_BOOL
                    if truths
                    else self._api.DATA_TYPE_STRING
                )
                for option in options:
                    setattr(info.domain_discrete.values.add(), *_field(option, text=not (numbers or truths)))
            infos.append(info)
        metric = self._api.MetricInfo(name=self._api.MetricName(tag=_OBJECTIVE), display_name=_OBJECTIVE)
        experiment = self._api.Experiment(
            name=chronicle.header.name,
            hparam_infos=infos,
            metric_infos=[metric],
            time_created_secs=chronicle.header.created,
        )
        return self._plugin(self._metadata.EXPERIMENT_TAG, chronicle.header.created, experiment=experiment)

    def of_trial(self, record: TrialRecord, chronicle: Chronicle) -> list[Any]:
        """Events of a trial: its values, what it reported, its metrics and objective, how it ended."""
        assert record.outcome is not None
        began = record.started or record.completed or 0.0
        ended = record.completed or began
        space = chronicle.replay.space.parameters
        start = self._data.SessionStartInfo(start_time_secs=began, group_name=f"trial {record.trial.number}")
        for name, value in record.trial.config.items():
            options = getattr(space[name], "options", [value])
            alike = len({isinstance(option, bool) for option in options}) == 1
            text = any(isinstance(option, str) for option in options) or not alike
            setattr(start.hparams[name], *_field(value, text=text))
        events = [self._plugin(self._metadata.SESSION_START_INFO_TAG, began, session_start_info=start)]
        reports = sorted(chronicle.reports.get(record.trial.number, {}).items())
        events += [self._scalar(_REPORT, value, step, time) for step, (value, time) in reports]
        last = reports[-1][0] if reports else 0
        scalars = {f"metrics/{name}": value for name, value in record.outcome.metrics.items()}
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
        return self._of(
            self._summary.Summary.Value(tag=tag, metadata=metadata, tensor=self._metadata.NULL_TENSOR), when
        )

    def _scalar(self, tag: str, value: float, step: int, when: float) -> Any:
        return self._of(self._summary.Summary.Value(tag=tag, simple_value=value), when, step)

    def _of(self, value: Any, when: float, step: int = 0) -> Any:
        return self._event.Event(wall_time=when, step=step, summary=self._summary.Summary(value=[value]))


def _field(value: Value, *, text: bool) -> tuple[str, bool | float | str]:
    """Field of a protobuf value, and what goes into it."""
    if text:
        return "string_value", str(value).lower() if isinstance(value, bool) else str(value)
    return ("bool_value", value) if isinstance(value, bool) else ("number_value", float(value))

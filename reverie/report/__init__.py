"""The report of a study: figures and tables in one HTML file that needs no network, and as PNGs.

| room | what is in it |
|---|---|
| `evidence.py` | what a run folder tells, read without touching it |
| `knowledge.py` | what a surrogate and a model of validity make of it |
| `figure.py` | a figure: title, sentence, Vega-Lite specification |
| `progress.py`, `curves.py`, `workers.py` | how the search went, what trials reported, who did what when |
| `landscape.py`, `pairs.py`, `importance.py` | what the objective looks like, which parameters matter |
| `failures.py` | where and why trials fail |
| `content.py` | what is in a report, in which order |
| `page.py` | the HTML |
| `command.py` | the verb ``reverie report`` |
"""

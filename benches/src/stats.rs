//! Summaries of many numbers.

use serde::Serialize;

/// The median of several rounds, with the quartiles.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Summary {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Summary {
    /// `None` without values.
    pub fn of(mut values: Vec<f64>) -> Option<Summary> {
        values.sort_by(f64::total_cmp);
        let at = |part| quantile(&values, part);
        Some(Summary { median: at(0.5)?, low: at(0.25)?, high: at(0.75)? })
    }
}

/// A quantile of sorted values, interpolated between two values.
pub fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let position = part * sorted.len().checked_sub(1)? as f64;
    let below = sorted.get(position.floor() as usize)?;
    let above = sorted.get(position.ceil() as usize)?;
    Some(below + (above - below) * position.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_the_values() {
        let summary = Summary::of(vec![4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((summary.low, summary.median, summary.high), (1.75, 2.5, 3.25));
        assert!(Summary::of(Vec::new()).is_none());
    }
}

//! [`Report`]: the numbers of a server that has ended.

use std::iter::Sum;

use crate::stats::totals::Totals;

/// The final numbers of a server.
///
/// Those of several [`Cores`](crate::runtime::Cores) can be added up:
/// `cores.join()?.into_iter().sum::<Report>()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The numbers at the end.
    pub totals: Totals,
    /// Connections that were open or waited to be accepted when the shutdown began, and that ended
    /// by themselves before its deadline.
    pub drained: usize,
    /// Connections that were still at work at the deadline of the shutdown and were reset.
    pub reset: usize,
}

impl Sum for Report {
    fn sum<I: Iterator<Item = Report>>(reports: I) -> Report {
        reports.fold(Report::default(), |mut sum, report| {
            sum.totals += &report.totals;
            sum.drained += report.drained;
            sum.reset += report.reset;
            sum
        })
    }
}

//! The metadata of a file: its length, its identity, and the time of its last change.

use std::time::{Duration, SystemTime};

use rustix::fs::Stat;

/// The metadata of a file at the time when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) len: u64,
    /// The time of the last change in seconds since 1970; negative before it.
    pub(super) modified: i64,
    pub(super) nanos: u32,
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// Identifies a directory as long as it exists or is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of(stat: &Stat) -> Identity {
        let Meta { device, inode, .. } = Meta::of(stat);
        Identity { device, inode }
    }
}

impl Meta {
    pub(super) fn of(stat: &Stat) -> Meta {
        // The types of these fields differ between systems.
        #[allow(clippy::unnecessary_cast)]
        Meta {
            len: u64::try_from(stat.st_size).unwrap_or(0),
            modified: stat.st_mtime as i64,
            nanos: stat.st_mtime_nsec as u32,
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
        }
    }

    /// The metadata of bytes in memory. They have no time, so their tag is made of the inode, which
    /// stands for the bytes here.
    pub(super) fn of_bytes(len: u64, mixed: u64) -> Meta {
        Meta { len, modified: 0, nanos: 0, device: 0, inode: mixed }
    }

    /// Returns whether every change from `now` on changes the time of the last change. That is not so
    /// within one tick of the clock that stamps files: it advances every 10 ms or more often, and file
    /// systems without fractions have a tick of up to 2 s.
    pub(super) fn is_older_than(&self, now: Duration) -> bool {
        let (Ok(seconds), tick) = (
            u64::try_from(self.modified),
            match self.nanos {
                0 => Duration::from_secs(2),
                _ => Duration::from_millis(20),
            },
        ) else {
            return true;
        };
        Duration::new(seconds, self.nanos).saturating_add(tick) <= now
    }

    /// Returns the time of the last change in whole seconds, which is the precision of HTTP.
    /// Returns `None` if a date field cannot express the time, and for the times that stand for none:
    /// those of reproducible builds, in which browsers would see a file of half a century and keep it
    /// for years.
    pub(super) fn last_modified(&self) -> Option<SystemTime> {
        /// The end of 31 December 9999, the last day whose year has four digits.
        const LAST: u64 = 253_402_300_799;
        /// The end of 1 January 1980, the first day of zip archives. Nix and OSTree use 1 s, file
        /// systems without times 0.
        const NO_TIME: u64 = 315_619_199;
        let seconds = u64::try_from(self.modified).ok().filter(|&s| s > NO_TIME && s <= LAST)?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_that_stands_for_none_or_does_not_fit_into_a_field_is_none() {
        let meta = |modified| Meta { len: 0, modified, nanos: 0, device: 0, inode: 0 };
        for modified in [i64::MIN, -1, 0, 1, 315_532_800, 315_619_199, 253_402_300_800, i64::MAX] {
            assert_eq!(meta(modified).last_modified(), None, "{modified}");
        }
        let first = meta(315_619_200).last_modified().map(httpdate::fmt_http_date);
        assert_eq!(first.as_deref(), Some("Wed, 02 Jan 1980 00:00:00 GMT"));
        let last = meta(253_402_300_799).last_modified().map(httpdate::fmt_http_date);
        assert_eq!(last.as_deref(), Some("Fri, 31 Dec 9999 23:59:59 GMT"));
    }
}

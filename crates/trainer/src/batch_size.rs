//! The greatest batch size that works.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::TrainerError;

/// How [`find_batch_size`] searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BatchSizeSearch {
    /// Doubles until a size fails; the last one that worked.
    #[default]
    Doubling,
    /// Doubles, then halves the gap down to the exact limit.
    Bisection,
}

/// Finds the greatest batch size in `first..=most` with which `attempt` works,
/// for example a few updates on the device.
///
/// An error and a panic (burn panics when a device is out of memory) both count
/// as a failure. Use a part of the result in earnest: memory that a few updates
/// need is the least that a training needs.
///
/// ```
/// use firecraft_trainer::{BatchSizeSearch, TrainerError, find_batch_size};
///
/// // A device that holds 100 samples.
/// let attempt = |size: u64| match size {
///     0..=100 => Ok(()),
///     _ => panic!("out of memory"),
/// };
/// # std::panic::set_hook(Box::new(|_| {}));
/// assert_eq!(find_batch_size(8, 4096, BatchSizeSearch::Doubling, attempt)?, 64);
/// assert_eq!(find_batch_size(8, 4096, BatchSizeSearch::Bisection, attempt)?, 100);
/// # Ok::<(), TrainerError>(())
/// ```
///
/// # Errors
///
/// [`TrainerError::Setting`] for an empty range, or when `first` fails already.
pub fn find_batch_size(
    first: u64,
    most: u64,
    search: BatchSizeSearch,
    mut attempt: impl FnMut(u64) -> Result<(), TrainerError>,
) -> Result<u64, TrainerError> {
    let refused = |value: String, allowed| {
        Err(TrainerError::Setting {
            field: "batch_size",
            value,
            allowed,
        })
    };
    if first == 0 || first > most {
        return refused(format!("{first} to {most}"), "a range from at least 1 up");
    }
    let mut works = |size: u64| {
        // What a failed attempt leaves half-done belongs to it alone.
        matches!(catch_unwind(AssertUnwindSafe(|| attempt(size))), Ok(Ok(())))
    };
    if !works(first) {
        let allowed = "a size that works; start with a smaller one";
        return refused(first.to_string(), allowed);
    }
    let mut good = first;
    let mut bad = None;
    while good < most && bad.is_none() {
        let next = good.saturating_mul(2).min(most);
        if works(next) {
            good = next;
        } else {
            bad = Some(next);
        }
    }
    if let (BatchSizeSearch::Bisection, Some(mut bad)) = (search, bad) {
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
            if works(middle) {
                good = middle;
            } else {
                bad = middle;
            }
        }
    }
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_kept_and_errors_count_as_failures() {
        let attempt = |limit: u64| {
            move |size: u64| {
                if size <= limit {
                    Ok(())
                } else {
                    Err(TrainerError::ModelLost)
                }
            }
        };
        let find = |first, most, limit| {
            find_batch_size(first, most, BatchSizeSearch::Bisection, attempt(limit))
        };
        assert_eq!(find(3, 50, 1000).unwrap(), 50);
        assert_eq!(find(3, 50, 3).unwrap(), 3);
        assert_eq!(find(3, 50, 37).unwrap(), 37);
        assert!(find(3, 50, 2).is_err());
        assert!(find(0, 50, 9).is_err());
        assert!(find(9, 8, 9).is_err());
    }
}

//! Which snapshot is restored: arithmetic on start times.
//!
//! Only complete snapshots of exactly the wanted source come here. Newest first:
//! an instant keeps those started at it or before; without an instant, `shallow`
//! limits how many count after the skipped ones.

use jiff::Timestamp;

use crate::plan::Selection;

/// What the selection comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// This one, by its position in what was given.
    One(usize),
    /// None fits, which is an answer.
    None,
    /// More are to be skipped than there are, which is a mistake.
    Beyond {
        /// How many there are.
        available: usize,
    },
}

/// Selects among snapshots by their start times, given in any order.
pub fn choose(selection: &Selection, starts: &[Timestamp]) -> Choice {
    let mut newest_first: Vec<usize> = (0..starts.len()).collect();
    newest_first.sort_by_key(|index| std::cmp::Reverse(starts[*index]));
    if let Some(instant) = selection.as_of {
        newest_first.retain(|index| starts[*index] <= instant);
    }
    let skip = usize::try_from(selection.previous).unwrap_or(usize::MAX);
    let limited = selection.as_of.is_none() && selection.shallow == Some(0);
    match newest_first.get(skip) {
        Some(index) if !limited => Choice::One(*index),
        _ if selection.as_of.is_some() || selection.shallow.is_some() => Choice::None,
        _ if starts.is_empty() => Choice::None,
        _ => Choice::Beyond { available: starts.len() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i8) -> Timestamp {
        format!("2024-01-01T{hour:02}:00:00Z").parse().unwrap()
    }

    #[test]
    fn table() {
        // Positions 0, 1, 2 are 11:00, 12:00, 10:00.
        let starts = [at(11), at(12), at(10)];
        let case = |as_of: Option<i8>, previous, shallow| {
            let selection = Selection { as_of: as_of.map(at), previous, shallow };
            choose(&selection, &starts)
        };
        assert_eq!(case(None, 0, None), Choice::One(1));
        assert_eq!(case(None, 1, None), Choice::One(0));
        assert_eq!(case(None, 2, None), Choice::One(2));
        assert_eq!(case(None, 3, None), Choice::Beyond { available: 3 });
        assert_eq!(case(None, u64::MAX, None), Choice::Beyond { available: 3 });
        assert_eq!(case(None, 0, Some(0)), Choice::None);
        assert_eq!(case(None, 0, Some(1)), Choice::One(1));
        assert_eq!(case(None, 1, Some(9999)), Choice::One(0));
        assert_eq!(case(None, 3, Some(1)), Choice::None);
        assert_eq!(case(Some(11), 0, None), Choice::One(0));
        assert_eq!(case(Some(12), 1, None), Choice::One(0));
        assert_eq!(case(Some(11), 2, None), Choice::None);
        assert_eq!(case(Some(9), 0, None), Choice::None);
        assert_eq!(case(Some(11), 0, Some(0)), Choice::One(0));
        let none = Selection::default();
        assert_eq!(choose(&none, &[]), Choice::None);
        assert_eq!(choose(&Selection { previous: 2, ..none }, &[]), Choice::None);
    }
}

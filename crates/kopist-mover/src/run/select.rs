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

/// Why no snapshot of the source fits, where these are the start times of all that it has.
pub(super) fn why_none_fits(source: &str, selection: &Selection, starts: &[Timestamp]) -> String {
    let Some(oldest) = starts.iter().min() else {
        return format!("{source} has no snapshot");
    };
    let Selection { as_of, previous, shallow } = *selection;
    match (as_of, shallow) {
        (Some(instant), _) if *oldest > instant => format!(
            "no snapshot of {source} fits: KOPIA_RESTORE_AS_OF wants one from {instant} or \
             before, and the oldest is from {oldest}"
        ),
        (Some(instant), _) => {
            let kept = starts.iter().filter(|start| **start <= instant).count();
            format!(
                "no snapshot of {source} fits: KOPIA_PREVIOUS skips {previous}, and only {kept} \
                 are from {instant} or before"
            )
        }
        (None, Some(0)) => format!("no snapshot of {source} fits: KOPIA_SHALLOW considers none"),
        (None, _) => format!(
            "no snapshot of {source} fits: KOPIA_PREVIOUS skips {previous}, and there are only {}",
            starts.len()
        ),
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

    #[test]
    fn what_left_none() {
        let why = |as_of: Option<i8>, previous, shallow, starts: &[Timestamp]| {
            let selection = Selection { as_of: as_of.map(at), previous, shallow };
            assert_eq!(choose(&selection, starts), Choice::None);
            why_none_fits("u@h:/p", &selection, starts)
        };
        let two = [at(11), at(10)];
        assert_eq!(why(Some(9), 1, Some(1), &[]), "u@h:/p has no snapshot");
        let fits = "no snapshot of u@h:/p fits: ";
        assert_eq!(
            why(Some(9), 1, None, &two),
            format!(
                "{fits}KOPIA_RESTORE_AS_OF wants one from 2024-01-01T09:00:00Z or before, and the \
                 oldest is from 2024-01-01T10:00:00Z"
            )
        );
        assert_eq!(
            why(Some(10), 1, None, &two),
            format!(
                "{fits}KOPIA_PREVIOUS skips 1, and only 1 are from 2024-01-01T10:00:00Z or before"
            )
        );
        assert_eq!(why(None, 0, Some(0), &two), format!("{fits}KOPIA_SHALLOW considers none"));
        assert_eq!(
            why(None, 2, Some(5), &two),
            format!("{fits}KOPIA_PREVIOUS skips 2, and there are only 2")
        );
    }
}

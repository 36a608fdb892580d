//! Repositories that this version must not open.

use crate::Case;

pub(crate) fn check(case: &Case<'_>) {
    for expected in &case.golden.description.expected {
        // kopia waits for ever while an upgrade is under way, unless told not to.
        let mut arguments = case.arguments(&expected.cmd);
        arguments.push("--upgrade-no-block".to_owned());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let outcome = case.client.run(&arguments).expect_failure();
        let reason = if expected.rc == "timeout" {
            "upgrade in progress"
        } else {
            "does not support feature 'golden-unknown-feature'"
        };
        assert!(outcome.stderr.contains(reason), "the reason {reason:?} is not told: {outcome}");
    }
}

//! Policies of the mounted files and of the resource, stored where they differ.
//!
//! Each policy that is written costs blobs and, over years of runs, index blobs for
//! everybody; so what is stored is compared first. All that is written goes into the
//! session of the snapshot.

use kopist_format::maintenance::MaintenanceParameters;
use kopist_repo::RepositoryWriter;
use kopist_snapshot::SourceInfo;
use kopist_snapshot::policy::{self, Policy};
use kopist_snapshot::store;

use super::Context;
use super::failure::Failure;
use crate::plan::{GlobalPolicyFile, MountedPolicies, MoverPlan, PolicyPatch};
use crate::report::Reason;

/// Gives a repository made by this run what Kopia gives a new one: the built-in policy
/// as the global one, with what the manual configuration adds, and the maker as the owner of
/// the maintenance.
pub(super) fn initialise(plan: &MoverPlan, writer: &RepositoryWriter) -> Result<(), Failure> {
    let global = changed(&policy::built_in(), &plan.creation_policy)?;
    store::set_policy_if_changed(writer, &SourceInfo::global(), &global)?;
    let maintenance = MaintenanceParameters {
        owner: writer.repository().identity().to_string(),
        ..MaintenanceParameters::default()
    };
    let labels = [("type".to_owned(), "maintenance".to_owned())].into();
    writer.replace_manifests(&labels, &maintenance)?;
    Ok(())
}

/// Applies the mounted files within a session.
pub(super) fn apply_mounted(plan: &MoverPlan, context: &Context, writer: &RepositoryWriter) {
    report_mounted(plan, context, &mut |file| set_global(writer, file));
}

/// Reports on the mounted files and hands what they state about the global policy to
/// `set_global`, which tells whether it wrote anything. Nothing about them stops a run.
pub(super) fn report_mounted(
    plan: &MoverPlan,
    context: &Context,
    set_global: &mut dyn FnMut(&GlobalPolicyFile) -> Result<bool, Failure>,
) {
    let MountedPolicies { mounted, refused, global, repository } = &plan.policies;
    if !mounted {
        return;
    }
    let report = &context.report;
    let (mut applied, mut errors) = (0, 0);
    report.line("=== Applying policy configuration ===");
    if let Some(problem) = refused {
        errors += 1;
        report.error(problem.to_string());
    }
    if let Some(file) = global {
        for problem in &file.problems {
            report.error(format!("Failed to apply global policy settings: {problem}"));
        }
        remark("global policy file", &file.unknown, "are unknown", context);
        remark("global policy file", &file.without_effect, "have no effect", context);
        let stored = if file.states_nothing() { Ok(false) } else { set_global(file) };
        match stored {
            Ok(written) if file.problems.is_empty() => {
                applied += 1;
                report.line(if written {
                    "Global policy applied successfully"
                } else {
                    "Global policy applied successfully (it was so already)"
                });
            }
            Ok(_) => errors += 1,
            Err(failure) => {
                errors += 1;
                report
                    .error(format!("Failed to apply global policy settings: {}", failure.message));
            }
        }
    }
    if let Some(file) = repository {
        for problem in &file.problems {
            errors += 1;
            report.error(format!("repository config: {problem}"));
        }
        remark("repository config file", &file.unknown, "are unknown", context);
        applied += 1;
    }
    report.line(format!("Policy configuration summary: {applied} applied, {errors} errors"));
}

fn remark(file: &str, keys: &[String], what: &str, context: &Context) {
    if !keys.is_empty() {
        context.report.warn(format!("{file}: these keys {what}: {}", keys.join(", ")));
    }
}

/// Lays a patch over the policy of a level. Tells whether anything was written.
pub(super) fn set(
    writer: &RepositoryWriter,
    target: &SourceInfo,
    patch: &PolicyPatch,
) -> Result<bool, Failure> {
    set_over(writer, target, None, patch)
}

/// Makes the global policy say what the file says. Tells whether anything was written.
pub(super) fn set_global(
    writer: &RepositoryWriter,
    file: &GlobalPolicyFile,
) -> Result<bool, Failure> {
    let base = file.reset.then(policy::built_in);
    set_over(writer, &SourceInfo::global(), base.as_ref(), &file.patch)
}

fn set_over(
    writer: &RepositoryWriter,
    target: &SourceInfo,
    base: Option<&Policy>,
    patch: &PolicyPatch,
) -> Result<bool, Failure> {
    let policies = store::load_policies(&writer.manifests()?)?;
    let stored = policies.defined(target).map(|stored| stored.policy.clone()).unwrap_or_default();
    let wanted = changed(base.unwrap_or(&stored), patch)?;
    if wanted == stored {
        return Ok(false);
    }
    store::set_policy(writer, target, &wanted)?;
    Ok(true)
}

/// The policy with a patch over it.
pub(super) fn changed(policy: &Policy, patch: &PolicyPatch) -> Result<Policy, Failure> {
    let invalid = |error: serde_json::Error| {
        Failure::new(Reason::ConfigInvalid, format!("the policy cannot be stored: {error}"))
    };
    let mut document = serde_json::to_value(policy).map_err(invalid)?;
    patch.apply_to(&mut document);
    serde_json::from_value(document).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_what_it_states() {
        let mut patch = PolicyPatch::default();
        patch.set("retention", "keepDaily", 9);
        patch.set("files", "ignoreCacheDirs", true);
        patch.set("scheduling", "intervalSeconds", 3600);
        let before = policy::built_in();
        let after = changed(&before, &patch).unwrap();
        assert_eq!(after.retention.keep_daily, Some(9));
        assert_eq!(after.files.ignore_cache_dirs, Some(true));
        assert_eq!(after.scheduling.interval_seconds, 3600);
        assert_eq!(after.retention.keep_hourly, before.retention.keep_hourly);
        assert_eq!(changed(&after, &patch).unwrap(), after);
    }
}

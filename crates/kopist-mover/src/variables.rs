//! The variables of the contract: one row each, with its group and whether its
//! value is a credential.
//!
//! The status table in the log, the mask over the log, the environment that hooks
//! inherit and the documentation all follow from this table.

use crate::plan::TARGET_PREFIX;

/// What a variable is about; the order is that of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// What to do and where.
    Operation,
    /// The repository and its password.
    Repository,
    /// Who the snapshots belong to.
    Identity,
    /// Saving.
    Backup,
    /// Bringing back.
    Restore,
    /// Looking after the repository.
    Maintenance,
    /// Verification, test restores, copies.
    Checks,
    /// Cache and speed.
    Cache,
    /// Mounted policy files.
    Policy,
    /// What the log shows.
    Log,
    /// Metrics, reports and signs of life.
    Telemetry,
    /// Amazon S3 and stores that speak its language.
    S3,
    /// Azure blob storage.
    Azure,
    /// Google Cloud Storage and Google Drive.
    Google,
    /// Backblaze B2.
    B2,
    /// WebDAV.
    WebDav,
    /// SFTP.
    Sftp,
    /// Rclone.
    Rclone,
    /// Certificates and proxies.
    Network,
}

/// One variable of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// The name in the environment.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    /// Whether the value must never be shown nor handed to a hook.
    pub secret: bool,
    /// Whether the status table lists it.
    pub listed: bool,
}

const fn open(group: Group, name: &'static str) -> Variable {
    Variable { name, group, secret: false, listed: false }
}

const fn listed(group: Group, name: &'static str) -> Variable {
    Variable { listed: true, ..open(group, name) }
}

const fn secret(group: Group, name: &'static str) -> Variable {
    Variable { secret: true, ..open(group, name) }
}

const fn listed_secret(group: Group, name: &'static str) -> Variable {
    Variable { listed: true, ..secret(group, name) }
}

use Group as G;

/// Every variable that is read. Listed ones appear in the log in this order.
pub const VARIABLES: &[Variable] = &[
    // A repository URL may carry a user and a password.
    listed_secret(G::Repository, "KOPIA_REPOSITORY"),
    listed_secret(G::Repository, "KOPIA_PASSWORD"),
    listed(G::S3, "KOPIA_S3_BUCKET"),
    listed(G::S3, "KOPIA_S3_ENDPOINT"),
    listed(G::S3, "AWS_S3_ENDPOINT"),
    listed(G::S3, "KOPIA_S3_DISABLE_TLS"),
    listed(G::S3, "AWS_S3_DISABLE_TLS"),
    listed_secret(G::S3, "AWS_ACCESS_KEY_ID"),
    listed_secret(G::S3, "AWS_SECRET_ACCESS_KEY"),
    listed(G::S3, "AWS_DEFAULT_REGION"),
    listed(G::S3, "AWS_REGION"),
    listed(G::Identity, "KOPIA_OVERRIDE_USERNAME"),
    listed(G::Identity, "KOPIA_OVERRIDE_HOSTNAME"),
    listed(G::Identity, "KOPIA_SOURCE_PATH_OVERRIDE"),
    listed_secret(G::Repository, "KOPIA_MANUAL_CONFIG"),
    listed(G::Restore, "KOPIA_RESTORE_AS_OF"),
    listed(G::Restore, "KOPIA_SHALLOW"),
    listed(G::Restore, "KOPIA_PREVIOUS"),
    listed(G::Restore, "KOPIA_ENABLE_FILE_DELETION"),
    listed_secret(G::Operation, "KOPIA_ADDITIONAL_ARGS"),
    listed(G::Cache, "KOPIA_CACHE_CAPACITY_BYTES"),
    listed(G::B2, "KOPIA_B2_BUCKET"),
    listed_secret(G::B2, "B2_ACCOUNT_ID"),
    listed_secret(G::B2, "B2_APPLICATION_KEY"),
    listed_secret(G::WebDav, "WEBDAV_URL"),
    listed(G::WebDav, "WEBDAV_USERNAME"),
    listed_secret(G::WebDav, "WEBDAV_PASSWORD"),
    listed(G::Sftp, "SFTP_HOST"),
    listed(G::Sftp, "SFTP_PORT"),
    listed(G::Sftp, "SFTP_USERNAME"),
    listed_secret(G::Sftp, "SFTP_PASSWORD"),
    listed(G::Sftp, "SFTP_PATH"),
    listed_secret(G::Sftp, "SFTP_KEY_FILE"),
    listed(G::Sftp, "SFTP_KNOWN_HOSTS"),
    listed(G::Sftp, "SFTP_KNOWN_HOSTS_DATA"),
    listed(G::Rclone, "RCLONE_REMOTE_PATH"),
    listed(G::Rclone, "RCLONE_EXE"),
    listed_secret(G::Rclone, "RCLONE_CONFIG"),
    listed(G::Google, "GOOGLE_DRIVE_FOLDER_ID"),
    listed_secret(G::Google, "GOOGLE_DRIVE_CREDENTIALS"),
    open(G::Operation, "DIRECTION"),
    open(G::Operation, "DATA_DIR"),
    open(G::Operation, "DEBUG_MOVER"),
    open(G::Operation, "PRIVILEGED_MOVER"),
    open(G::Operation, "KOPIST_JITTER"),
    secret(G::Repository, "KOPIA_STRUCTURED_REPOSITORY_CONFIG"),
    // What older operators sent, or what their documentation offers.
    open(G::Repository, "KOPIA_FS_PATH"),
    open(G::Backup, "KOPIA_SOURCE_PATH"),
    open(G::Backup, "KOPIA_MAINTENANCE_INTERVAL_DAYS"),
    secret(G::Restore, "KOPIA_BEFORE_RESTORE"),
    secret(G::Restore, "KOPIA_AFTER_RESTORE"),
    open(G::Maintenance, "KOPIA_OVERRIDE_MAINTENANCE_HOSTNAME"),
    open(G::Cache, "KOPIA_CACHE_DIRECTORY"),
    open(G::Cache, "CACHE_DIR"),
    open(G::Backup, "KOPIA_COMPRESSION"),
    open(G::Backup, "KOPIA_PARALLELISM"),
    open(G::Backup, "KOPIA_RETAIN_LATEST"),
    open(G::Backup, "KOPIA_RETAIN_HOURLY"),
    open(G::Backup, "KOPIA_RETAIN_DAILY"),
    open(G::Backup, "KOPIA_RETAIN_WEEKLY"),
    open(G::Backup, "KOPIA_RETAIN_MONTHLY"),
    open(G::Backup, "KOPIA_RETAIN_YEARLY"),
    // Hooks are shell text; database passwords stand in them.
    secret(G::Backup, "KOPIA_BEFORE_SNAPSHOT"),
    secret(G::Backup, "KOPIA_AFTER_SNAPSHOT"),
    open(G::Backup, "KOPIA_ACTIONS_ENABLED"),
    open(G::Restore, "KOPIA_DISCOVER_SNAPSHOTS"),
    open(G::Restore, "KOPIST_RESTORE_REQUIRE"),
    open(G::Maintenance, "KOPIA_OVERRIDE_MAINTENANCE_USERNAME"),
    open(G::Maintenance, "KOPIST_MAINTENANCE_TAKEOVER"),
    open(G::Maintenance, "KOPIA_MAINTENANCE_CONTENT_VERIFY_PERCENTAGE"),
    open(G::Maintenance, "KOPIST_AFTER_MAINTENANCE"),
    open(G::Checks, "KOPIST_SOURCES"),
    open(G::Checks, "KOPIST_VERIFY_PERCENT"),
    open(G::Checks, "KOPIST_TEST_RESTORE_PERCENT"),
    open(G::Checks, "KOPIST_TEST_RESTORE_DIR"),
    open(G::Checks, "KOPIST_REPLICATE_VERIFY_PERCENT"),
    open(G::Checks, "KOPIST_REPLICATE_DELETE_AFTER"),
    open(G::Cache, "KOPIA_CACHE_DIR"),
    open(G::Cache, "KOPIA_METADATA_CACHE_SIZE_LIMIT_MB"),
    open(G::Cache, "KOPIA_CONTENT_CACHE_SIZE_LIMIT_MB"),
    open(G::Cache, "KOPIA_SKIP_CACHE_CONFIG"),
    open(G::Cache, "KOPIA_FORCE_CACHE_REBUILD"),
    open(G::Cache, "KOPIA_UPLOAD_SPEED"),
    open(G::Cache, "KOPIA_DOWNLOAD_SPEED"),
    open(G::Policy, "KOPIA_CONFIG_PATH"),
    open(G::Policy, "KOPIA_GLOBAL_POLICY_FILE"),
    open(G::Policy, "KOPIA_REPOSITORY_CONFIG_FILE"),
    open(G::Log, "KOPIA_LOG_LEVEL"),
    open(G::Log, "KOPIA_FILE_LOG_LEVEL"),
    open(G::Log, "KOPIA_LOG_DIR_MAX_FILES"),
    open(G::Log, "KOPIA_LOG_DIR_MAX_AGE"),
    open(G::Log, "KOPIA_CONTENT_LOG_DIR_MAX_FILES"),
    open(G::Log, "KOPIA_CONTENT_LOG_DIR_MAX_AGE"),
    open(G::Log, "KOPIST_LOG_FORMAT"),
    open(G::Log, "KOPIST_PROGRESS_INTERVAL"),
    // Addresses may carry a user and a password.
    secret(G::Telemetry, "KOPIST_METRICS"),
    secret(G::Telemetry, "KOPIST_METRICS_HEADERS"),
    open(G::Telemetry, "KOPIST_METRICS_LABELS"),
    open(G::Telemetry, "POD_NAMESPACE"),
    open(G::Telemetry, "KOPIST_REPORT_FILE"),
    secret(G::Telemetry, "KOPIST_NOTIFY_URL"),
    open(G::Telemetry, "KOPIST_NOTIFY_ON"),
    open(G::Telemetry, "KOPIST_HEALTH_FILE"),
    open(G::Telemetry, "KOPIST_HEALTH_MAX_AGE"),
    open(G::Repository, "KOPIST_FS_MODE"),
    secret(G::S3, "AWS_SESSION_TOKEN"),
    open(G::S3, "AWS_PROFILE"),
    open(G::S3, "KOPIA_S3_REGION"),
    open(G::S3, "KOPIA_S3_PREFIX"),
    open(G::Azure, "KOPIA_AZURE_CONTAINER"),
    open(G::Azure, "KOPIA_AZURE_STORAGE_ACCOUNT"),
    secret(G::Azure, "KOPIA_AZURE_STORAGE_KEY"),
    open(G::Azure, "AZURE_STORAGE_ACCOUNT"),
    secret(G::Azure, "AZURE_STORAGE_KEY"),
    secret(G::Azure, "AZURE_STORAGE_SAS_TOKEN"),
    open(G::Azure, "AZURE_ACCOUNT_NAME"),
    secret(G::Azure, "AZURE_ACCOUNT_KEY"),
    secret(G::Azure, "AZURE_ACCOUNT_SAS"),
    open(G::Azure, "AZURE_ENDPOINT_SUFFIX"),
    open(G::Google, "KOPIA_GCS_BUCKET"),
    open(G::Google, "GCS_BUCKET"),
    open(G::Google, "GOOGLE_PROJECT_ID"),
    secret(G::Google, "GOOGLE_APPLICATION_CREDENTIALS"),
    open(G::Network, "CUSTOM_CA"),
    open(G::Network, "KOPIA_CUSTOM_CA"),
    secret(G::Network, "HTTP_PROXY"),
    secret(G::Network, "HTTPS_PROXY"),
    secret(G::Network, "http_proxy"),
    secret(G::Network, "https_proxy"),
    open(G::Network, "NO_PROXY"),
    open(G::Network, "no_proxy"),
];

/// The row of a variable, with the prefix of the target of a copy or without.
pub fn variable(name: &str) -> Option<&'static Variable> {
    let name = name.strip_prefix(TARGET_PREFIX).unwrap_or(name);
    VARIABLES.iter().find(|variable| variable.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_variable_has_one_row() {
        let names: BTreeSet<_> = VARIABLES.iter().map(|variable| variable.name).collect();
        assert_eq!(names.len(), VARIABLES.len());
    }

    #[test]
    fn everything_that_sounds_like_a_credential_is_one() {
        for variable in VARIABLES {
            let sounds = ["PASSWORD", "SECRET", "TOKEN", "_KEY", "SAS", "CREDENTIALS"]
                .iter()
                .any(|part| variable.name.contains(part));
            assert!(!sounds || variable.secret, "{} must be secret", variable.name);
        }
    }

    #[test]
    fn the_documentation_names_every_variable() {
        let page = include_str!("../../../docs/mover.md");
        for variable in VARIABLES {
            assert!(
                page.contains(&format!("`{}`", variable.name)),
                "docs/mover.md does not explain {}",
                variable.name
            );
        }
    }
}

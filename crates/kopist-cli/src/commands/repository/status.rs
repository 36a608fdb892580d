//! `repository status`

use jiff::SignedDuration;
use kopist_blob::{BlobError, BlobMeta, BlobStore as _, Capacity, StorageConfig, list_all};
use kopist_format::epoch::{BlobInfo, EPOCH_PREFIX, EpochState};
use kopist_format::format_blob::{EpochParameters, MutableParameters};
use kopist_repo::{
    Repository,
    config::{ClientConfig, token},
};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use crate::commands::shared;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::storage::without_secrets,
    error::{CommandError, Context as _},
    grammar::Matches,
    output::{JsonOutput, duration, indented},
    session::{self, Session},
};

const FLAGS: &[Flag] = &[
    Flag::switch("reconnect-token", "Print a token to reconnect with.").short('t'),
    Flag::switch("reconnect-token-with-password", "Include the password in the token.").short('s'),
];

/// `repository status`
pub(super) static COMMAND: Command =
    Command::new("status", "Show the connected repository.").flags(&[FLAGS, shared::JSON]).run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let output = JsonOutput::new(matches);
        if output.json {
            return output.print(&app.console, &status(app, session)?);
        }
        print(app, session)?;
        if matches.flag("reconnect-token") {
            print_token(app, matches, session)?;
        }
        Ok(())
    })
}

/// The status as kopia prints it in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    config_file: String,
    #[serde(rename = "uniqueIDHex")]
    unique_id: String,
    client_options: ClientConfig,
    storage: StorageConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<Volume>,
    content_format: ContentFormat,
    object_format: ObjectFormat,
    blob_retention: BlobRetention,
}

#[derive(Serialize)]
struct Volume {
    capacity: u64,
    available: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContentFormat {
    #[serde(skip_serializing_if = "String::is_empty")]
    hash: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    encryption: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    ecc: String,
    #[serde(skip_serializing_if = "is_zero")]
    ecc_overhead_percent: i64,
    #[serde(flatten)]
    mutable: MutableParameters,
    enable_password_change: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

#[derive(Serialize)]
struct ObjectFormat {
    #[serde(skip_serializing_if = "String::is_empty")]
    splitter: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlobRetention {
    #[serde(skip_serializing_if = "String::is_empty")]
    retention_mode: String,
    #[serde(skip_serializing_if = "is_zero")]
    retention_period: i64,
}

fn nanos(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The size of the volume; `None` if the storage is not one.
fn capacity(repo: &Repository) -> Result<Option<Capacity>, CommandError> {
    match repo.store().capacity() {
        Err(BlobError::Unsupported { .. }) => Ok(None),
        result => result.map(Some).context("unable to get storage volume capacity"),
    }
}

fn status(app: &App, session: &Session) -> Result<Status, CommandError> {
    let repo = &session.repo;
    let format = repo.format();
    let retention = repo.blob_cfg();
    let volume = capacity(repo)?;
    Ok(Status {
        config_file: app.globals.config_file.display().to_string(),
        unique_id: hex::encode(repo.unique_id()),
        client_options: session.config.client.clone(),
        storage: without_secrets(&repo.store().storage_config()),
        volume: volume.map(|c| Volume { capacity: c.total, available: c.available }),
        content_format: ContentFormat {
            hash: format.hash.clone(),
            encryption: format.encryption.clone(),
            ecc: format.ecc.clone(),
            ecc_overhead_percent: format.ecc_overhead_percent,
            mutable: format.mutable.clone(),
            enable_password_change: format.enable_password_change,
        },
        object_format: ObjectFormat { splitter: format.splitter.clone() },
        blob_retention: BlobRetention {
            retention_mode: retention.retention_mode.clone(),
            retention_period: nanos(retention.retention_period),
        },
    })
}

fn print(app: &App, session: &Session) -> Outcome {
    let repo = &session.repo;
    let client = &session.config.client;
    let console = &app.console;
    let row = |label: &str, value: String| console.line(format!("{label:<21}{value}"));
    row("Config file:", app.globals.config_file.display().to_string())?;
    console.line("")?;
    row("Description:", client.description.clone())?;
    row("Hostname:", client.hostname.clone())?;
    row("Username:", client.username.clone())?;
    row("Read-only:", client.read_only.to_string())?;
    let cached = match client.format_blob_cache_duration {
        nanos if nanos > 0 => duration(nanos),
        _ => "disabled".to_owned(),
    };
    row("Format blob cache:", cached)?;
    console.line("")?;
    let storage = without_secrets(&repo.store().storage_config());
    row("Storage type:", storage.kind.clone())?;
    if let Some(volume) = capacity(repo)? {
        row("Storage capacity:", app.size(volume.total))?;
        row("Storage available:", app.size(volume.available))?;
    } else {
        row("Storage capacity:", "unbounded".to_owned())?;
    }
    row("Storage config:", indented(&storage.config, &" ".repeat(21), "  ")?)?;
    console.line("")?;
    let format = repo.format();
    let parameters = repo.parameters();
    row("Unique ID:", hex::encode(repo.unique_id()))?;
    row("Hash:", format.hash.clone())?;
    row("Encryption:", format.encryption.clone())?;
    row("Splitter:", format.splitter.clone())?;
    row("Format version:", parameters.version.to_string())?;
    row("Content compression:", (parameters.index_version >= 2).to_string())?;
    row("Password changes:", format.enable_password_change.to_string())?;
    if !format.required_features.is_empty() {
        let names: Vec<_> = format.required_features.iter().map(|f| f.feature.clone()).collect();
        row("Required Features:", names.join(" "))?;
    }
    row("Max pack length:", app.size(parameters.max_pack_size as u64))?;
    row("Index Format:", format!("v{}", parameters.index_version))?;
    if parameters.epoch.enabled {
        console.line("")?;
        row("Epoch Manager:", "enabled".to_owned())?;
        print_epochs(app, repo, &parameters.epoch)?;
    } else {
        row("Epoch Manager:", "disabled".to_owned())?;
    }
    let retention = repo.blob_cfg();
    if retention.is_retention_enabled() {
        console.line("")?;
        console.line(format!("Blob retention mode:     {}", retention.retention_mode))?;
        let period = duration(nanos(retention.retention_period));
        console.line(format!("Blob retention period:   {period}"))?;
    }
    if let Some(lock) = &format.upgrade_lock {
        console.line("")?;
        let now = repo.clock().now();
        let choose = |it, yes: &str, no: &str| if it { yes.to_owned() } else { no.to_owned() };
        row("Ongoing upgrade:", lock.message.clone())?;
        row("Upgrade Time:", app.time(lock.upgrade_time()))?;
        row("Upgrade Owner:", lock.owner_id.clone())?;
        row("Upgrade lock:", choose(lock.locked(now), "Locked", "Unlocked"))?;
        let drained = lock.writers_drained(now);
        row("Lock status:", choose(drained, "Fully Established", "Draining"))?;
    }
    Ok(())
}

/// The epoch to which indexes are written now.
fn write_epoch(repo: &Repository) -> Result<u64, CommandError> {
    let blobs = list_all(repo.store().as_ref(), EPOCH_PREFIX)?;
    let info = |blob: BlobMeta| BlobInfo::new(blob.id.as_str(), blob.length, blob.timestamp);
    Ok(EpochState::from_blobs(blobs.into_iter().map(info)).write_epoch())
}

fn print_epochs(app: &App, repo: &Repository, epoch: &EpochParameters) -> Outcome {
    let console = &app.console;
    console.line(format!("Current Epoch: {}", write_epoch(repo)?))?;
    console.line("")?;
    let shown = |time: SignedDuration| duration(nanos(time));
    console.line(format!("Epoch refresh frequency: {}", shown(epoch.epoch_refresh_frequency)))?;
    console.line(format!(
        "Epoch advance on:        {} blobs or {}, minimum {}",
        epoch.epoch_advance_on_count_threshold,
        app.size(epoch.epoch_advance_on_total_size_bytes_threshold),
        shown(epoch.min_epoch_duration)
    ))?;
    console.line(format!("Epoch cleanup margin:    {}", shown(epoch.cleanup_safety_margin)))?;
    let frequency = epoch.full_checkpoint_frequency;
    console.line(format!("Epoch range-compaction every: {frequency} epochs"))?;
    Ok(())
}

fn print_token(app: &App, matches: &Matches, session: &Session) -> Outcome {
    let with_password = matches.flag("reconnect-token-with-password");
    let password = if with_password { Some(app.existing_password()?) } else { None };
    let token = token::encode(&session.repo.store().storage_config(), password.as_ref())
        .context("error computing repository token")?;
    app.console.line(format!(
        "\nTo reconnect to the repository use:\n\n\
         $ kopia repository connect from-config --token {}\n",
        token.expose_secret()
    ))?;
    if with_password {
        app.console.line(
            "NOTICE: The token printed above can be trivially decoded to reveal the repository \
             password. Do not store it in an unsecured place.",
        )?;
    }
    Ok(())
}

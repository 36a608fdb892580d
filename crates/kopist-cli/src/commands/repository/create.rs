//! `repository create`: a new repository.

use jiff::SignedDuration;
use kopist_blob::any_with_prefix;
use kopist_cloud::ConnectOptions;
use kopist_format::{format_blob::FormatVersion, maintenance::MaintenanceParameters};
use kopist_repo::CreateOptions;
use kopist_snapshot::{
    SourceInfo, maintenance,
    policy::{Origins, built_in},
};

use kopist_snapshot::store::set_policy;
use secrecy::SecretString;

use crate::commands::{providers::for_each_storage, shared};
use crate::grammar::Matches;
use crate::grammar::{Command, Flag};
use crate::output::duration;
use crate::{
    app::{App, Outcome},
    commands::{
        policy::Table,
        repository::connection::connect,
        storage::{self, Purpose},
    },
    error::{CommandError, Context as _},
    session::{Session, write_in},
};

const FLAGS: &[Flag] = &[
    Flag::one_of(
        "block-hash",
        &[
            "BLAKE2B-256",
            "BLAKE2B-256-128",
            "BLAKE2S-128",
            "BLAKE2S-256",
            "BLAKE3-256",
            "BLAKE3-256-128",
            "HMAC-SHA224",
            "HMAC-SHA256",
            "HMAC-SHA256-128",
            "HMAC-SHA3-224",
            "HMAC-SHA3-256",
        ],
        "Hash of contents.",
    )
    .default("BLAKE2B-256-128"),
    Flag::one_of(
        "encryption",
        &["AES256-GCM-HMAC-SHA256", "CHACHA20-POLY1305-HMAC-SHA256"],
        "Encryption of contents.",
    )
    .default("AES256-GCM-HMAC-SHA256"),
    Flag::one_of("ecc", &["REED-SOLOMON-CRC32"], "Error correction.").default("REED-SOLOMON-CRC32"),
    Flag::int("ecc-overhead-percent", "Space for error correction, in percent (0 disables it).")
        .default("0"),
    Flag::one_of(
        "object-splitter",
        &[
            "DYNAMIC",
            "DYNAMIC-128K-BUZHASH",
            "DYNAMIC-128K-RABINKARP",
            "DYNAMIC-1M-BUZHASH",
            "DYNAMIC-1M-RABINKARP",
            "DYNAMIC-256K-BUZHASH",
            "DYNAMIC-256K-RABINKARP",
            "DYNAMIC-2M-BUZHASH",
            "DYNAMIC-2M-RABINKARP",
            "DYNAMIC-4M-BUZHASH",
            "DYNAMIC-4M-RABINKARP",
            "DYNAMIC-512K-BUZHASH",
            "DYNAMIC-512K-RABINKARP",
            "DYNAMIC-8M-BUZHASH",
            "DYNAMIC-8M-RABINKARP",
            "FIXED",
            "FIXED-128K",
            "FIXED-1M",
            "FIXED-256K",
            "FIXED-2M",
            "FIXED-4M",
            "FIXED-512K",
            "FIXED-8M",
        ],
        "Splitter of objects.",
    )
    .default("DYNAMIC-4M-BUZHASH"),
    Flag::switch("create-only", "Create the repository without connecting to it.").short('c'),
    Flag::int("format-version", "Format version (0: the default)."),
    Flag::one_of("retention-mode", &["GOVERNANCE", "COMPLIANCE"], "Object lock mode."),
    Flag::duration("retention-period", "Object lock period."),
    Flag::one_of(
        "format-block-key-derivation-algorithm",
        &["scrypt-65536-8-1", "pbkdf2-sha256-600000"],
        "Key derivation from the password.",
    )
    .default("scrypt-65536-8-1"),
];

/// `repository create`
pub(super) static COMMAND: Command = Command::new("create", "Create a repository.")
    .flags(&[FLAGS, shared::CONNECT])
    .commands(for_each_storage!("Create a repository", |command| command.run(run)));

fn run(app: &App, matches: &Matches) -> Outcome {
    let version = matches.int("format-version").unwrap_or(0);
    let options = create_options(matches, version)?;
    let purpose = Purpose::Create(version);
    let chosen = storage::from_flags(app, matches, purpose).context("can't connect to storage")?;
    let store = storage::open(&chosen.storage, &ConnectOptions::default(), purpose)
        .context("can't connect to storage")?;
    let occupied = any_with_prefix(store.as_ref(), "").context("error listing blobs")?;
    if occupied {
        return Err(CommandError::new(
            "unable to get repository storage: found existing data in storage location",
        ));
    }
    let password = match chosen.password {
        Some(password) => password,
        None => app.new_password().context("getting password")?,
    };
    announce(app, &options, version);
    kopist_repo::create(store.as_ref(), &password, &options)
        .context("cannot initialize repository")?;
    if matches.flag("create-only") {
        return Ok(());
    }
    connect(app, matches, chosen.storage, store.as_ref(), &password)
        .context("error connecting to repository")
        .context("unable to connect to repository")?;
    populate(app, &password).context("error populating repository")?;
    app.console.print(
        "NOTE: To validate that your provider is compatible with Kopia, please run:\n\n\
         $ kopia repository validate-provider\n\n",
    )?;
    Ok(())
}

fn create_options(matches: &Matches, version: i64) -> Result<CreateOptions, CommandError> {
    let text = |flag: &str| matches.text(flag).unwrap_or_default();
    let mut options = CreateOptions {
        hash: text("block-hash"),
        encryption: text("encryption"),
        splitter: text("object-splitter"),
        ecc: text("ecc"),
        ecc_overhead_percent: matches.int("ecc-overhead-percent").unwrap_or(0),
        key_derivation: text("format-block-key-derivation-algorithm"),
        ..CreateOptions::default()
    };
    options.version = match version {
        0 => FormatVersion::default(),
        1 => FormatVersion::V1,
        2 => FormatVersion::V2,
        3 => FormatVersion::V3,
        other => {
            return Err(CommandError::new(format!(
                "cannot initialize repository: unsupported format version {other}; use 1, 2 or 3"
            )));
        }
    };
    if let Some(mode) = matches.non_empty("retention-mode") {
        options.blob_cfg.retention_mode = mode;
    }
    let period = matches.duration("retention-period").unwrap_or(0);
    options.blob_cfg.retention_period = SignedDuration::from_nanos(period);
    Ok(options)
}

fn announce(app: &App, options: &CreateOptions, version: i64) {
    app.info("Initializing repository with:");
    if version != 0 {
        app.info(format!("  format version:      {version}"));
    }
    app.info(format!("  block hash:          {}", options.hash));
    app.info(format!("  encryption:          {}", options.encryption));
    app.info(format!("  key derivation:      {}", options.key_derivation));
    if options.ecc_overhead_percent > 0 {
        app.info(format!(
            "  ecc:                 {} with {}% overhead",
            options.ecc, options.ecc_overhead_percent
        ));
    }
    app.info(format!("  splitter:            {}", options.splitter));
}

/// The first manifests: the global policy, and the parameters of maintenance.
fn populate(app: &App, password: &SecretString) -> Outcome {
    let session = Session::open_as(app, password)?;
    let (target, policy) = (SourceInfo::global(), built_in());
    write_in(app, &session, |writer| {
        set_policy(writer, &target, &policy).context("unable to set global policy")?;
        maintenance::claim(writer).context("unable to set maintenance parameters")?;
        Ok(())
    })?;
    let origins = Origins::new();
    let mut table = Table::new(&target, &policy, &origins, app.globals.base2);
    table.retention();
    table.compression();
    app.console.line(table.text_form())?;
    app.console.error_line(
        "\nTo find more information about default policy run 'kopia policy get'.\n\
         To change the policy use 'kopia policy set' command.",
    );
    let cycles = MaintenanceParameters::default();
    app.info(format!(
        "\nNOTE: Quick maintenance of the repository runs every {} and full maintenance every {} \
         when running as {}.\n",
        duration(nanos(cycles.quick.interval)),
        duration(nanos(cycles.full.interval)),
        session.identity()
    ));
    Ok(())
}

fn nanos(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

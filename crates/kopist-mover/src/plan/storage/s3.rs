//! S3: bucket, prefix and endpoint from variables and URL.

use super::{S3Keys, Source, Storage, prefix_of, split_host};
use crate::plan::error::{Findings, PlanError};

const DEFAULT_ENDPOINT: &str = "s3.amazonaws.com";

pub(super) fn resolve(source: &Source<'_>, findings: &mut Findings) -> Result<Storage, PlanError> {
    let url = source.url("s3").map(split_host);
    let bucket = match (source.text("KOPIA_S3_BUCKET"), url) {
        (Some(bucket), _) => bucket.to_owned(), // taken literally, whatever its shape
        (None, Some((host, _))) => bucket_of(host)?,
        (None, None) => return Err(PlanError::S3Bucket),
    };
    let prefix = prefix_of(url.map_or("", |(_, rest)| rest), "S3")?;
    if source.is_set("KOPIA_S3_BUCKET") && !prefix.is_empty() {
        findings.notice(format!(
            "KOPIA_S3_BUCKET and KOPIA_REPOSITORY are both set: the bucket is {bucket}, the prefix {prefix} comes from KOPIA_REPOSITORY"
        ));
    }
    if source.is_set("KOPIA_S3_PREFIX") {
        // Documented, but no release ever read it: repositories lie without it.
        findings.notice(
            "KOPIA_S3_PREFIX has no effect: write the prefix into KOPIA_REPOSITORY as s3://bucket/prefix",
        );
    }

    let given = source.first(&["KOPIA_S3_ENDPOINT", "AWS_S3_ENDPOINT"]).unwrap_or(DEFAULT_ENDPOINT);
    let (plain, endpoint) = endpoint_of(given);
    let no_tls = disable_tls(source, findings) || plain;

    Ok(Storage::S3 {
        bucket,
        prefix,
        endpoint,
        region: source
            .first(&["AWS_REGION", "AWS_DEFAULT_REGION", "KOPIA_S3_REGION"])
            .unwrap_or_default()
            .to_owned(),
        keys: keys(source)?,
        no_tls,
        root_ca: source.root_ca.map(<[u8]>::to_vec),
    })
}

/// A bucket name as a URL may give it. The whole host part must fit: a name cut
/// short would be another bucket.
fn bucket_of(host: &str) -> Result<String, PlanError> {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
    let fits = (3..=63).contains(&host.len())
        && ends(host.chars().next())
        && ends(host.chars().last())
        && host.chars().all(inner);
    if !fits {
        return Err(PlanError::S3Bucket);
    }
    let like_address = host.split('.').count() == 4
        && host.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()));
    if host.contains("..") || like_address {
        return Err(PlanError::S3BucketFormat);
    }
    Ok(host.to_owned())
}

/// Whether the endpoint asks for plain HTTP, and the endpoint without scheme and path.
fn endpoint_of(given: &str) -> (bool, String) {
    let (plain, rest) = if let Some(rest) = given.strip_prefix("http://") {
        (true, rest)
    } else {
        (false, given.strip_prefix("https://").unwrap_or(given))
    };
    (plain, split_host(rest).0.to_owned())
}

fn disable_tls(source: &Source<'_>, findings: &mut Findings) -> bool {
    let mut disable = false;
    for name in ["KOPIA_S3_DISABLE_TLS", "AWS_S3_DISABLE_TLS"] {
        match source.text(name) {
            Some("true") => disable = true,
            None | Some("false") => {}
            Some(_) => findings.notice(format!(
                "{name} is neither true nor false and has no effect: TLS stays on"
            )),
        }
    }
    disable
}

fn keys(source: &Source<'_>) -> Result<Option<S3Keys>, PlanError> {
    let access_key = source.env.secret("AWS_ACCESS_KEY_ID");
    let secret_key = source.env.secret("AWS_SECRET_ACCESS_KEY");
    match (access_key, secret_key) {
        (Some(access_key), Some(secret_key)) => Ok(Some(S3Keys {
            access_key,
            secret_key,
            session_token: source.env.secret("AWS_SESSION_TOKEN"),
        })),
        (None, None) => Ok(None),
        _ => Err(PlanError::StoreIncomplete {
            store: "S3",
            what: "both halves of the access key, or neither to use a role",
            variables: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        }),
    }
}

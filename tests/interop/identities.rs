//! Who we are, where no key stands in the configuration: roles, tokens and machines, each played
//! by a stub that sells what a real server then takes. This needs no kopia.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kopist_testkit::oracle::Client;
use kopist_testkit::proxy::{Asked, Faults, Proxy, Stub};
use kopist_testkit::servers::tls::Certificates;
use kopist_testkit::servers::{AZURE_ACCOUNT, Azure, Gcs, S3};
use serde_json::{Value, json};

use crate::pair::{PASSWORD, id, restores_to, snapshot, verify};
use crate::place::Place;
use crate::program::program;

/// Makes a repository, a backup and a restore in a place; returns the client.
fn works(folder: &Path, place: &Place) -> Client {
    let mut client = Client::new(&program(), &folder.join("client"), PASSWORD);
    place.prepare(&mut client);
    place.run(&client, "create");
    let source = folder.join("source");
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(source.join("letter"), "Dear reader").unwrap();
    let made = snapshot(&client, &source);
    verify(&client);
    restores_to(&client, id(&made), &kopist_testkit::tree::list(&source));
    client
}

/// What a place says that cannot be used.
fn refusal(folder: &Path, place: &Place) -> String {
    let mut client = Client::new(&program(), &folder.join("refused"), PASSWORD);
    place.prepare(&mut client);
    client.run(&place.command("create")).expect_failure().stderr
}

/// A bucket whose keys stand nowhere.
fn keyless(server: &S3) -> Value {
    let mut config = server.config("bucket", "x/");
    config["accessKeyID"] = json!("");
    config["secretAccessKey"] = json!("");
    config
}

/// Keys as the security token service sells them.
fn sold(action: &str, until: &str) -> String {
    format!(
        "<{action}Response><{action}Result><Credentials><AccessKeyId>{}</AccessKeyId>\
         <SecretAccessKey>{}</SecretAccessKey><SessionToken></SessionToken>\
         <Expiration>{until}</Expiration></Credentials></{action}Result></{action}Response>",
        S3::KEY_ID,
        S3::SECRET
    )
}

/// Keys as the services of a machine offer them.
fn offered() -> String {
    json!({
        "AccessKeyId": S3::KEY_ID, "SecretAccessKey": S3::SECRET, "Token": "",
        "Expiration": "2099-01-01T00:00:00Z",
    })
    .to_string()
}

const LATER: &str = "2099-01-01T00:00:00Z";

#[test]
fn aws_a_role_is_taken_and_taken_again() {
    let Some(server) = S3::start("aws roles") else { return };
    server.make_bucket("bucket");
    let folder = tempfile::tempdir().unwrap();
    // What it sells first no longer holds, so it is asked again.
    let count = AtomicUsize::new(0);
    let sts = Stub::start(move |_| {
        let first = count.fetch_add(1, Ordering::Relaxed) == 0;
        (200, sold("AssumeRole", if first { "2020-01-01T00:00:00Z" } else { LATER }))
    });
    let mut config = server.config("bucket", "x/");
    config["accessKeyID"] = json!("AKIAROLE");
    config["secretAccessKey"] = json!("rolesecret");
    config["roleARN"] = json!("arn:aws:iam::1:role/backup");
    config["sessionName"] = json!("nightly");
    config["duration"] = json!("30m0s");
    config["roleEndpoint"] = json!(sts.url());
    config["roleRegion"] = json!("eu-west-1");
    works(folder.path(), &Place::by_token("s3", &config));
    let asked = sts.asked();
    let first = &asked[0];
    for part in [
        "Action=AssumeRole&",
        "DurationSeconds=1800",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fbackup",
        "RoleSessionName=nightly",
    ] {
        assert!(first.body.contains(part), "{part}: {first:?}");
    }
    let proof = first.header("authorization").unwrap();
    assert!(proof.contains("Credential=AKIAROLE/") && proof.contains("/eu-west-1/sts/"), "{proof}");
    // Keys that last are asked for once by each command: `works` runs seven.
    assert!((3..=8).contains(&asked.len()), "{}", asked.len());

    let refusing = Stub::start(|_| {
        let body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message>\
                    </Error></ErrorResponse>";
        (403, body.to_owned())
    });
    config["roleEndpoint"] = json!(refusing.url());
    let text = refusal(folder.path(), &Place::by_token("s3", &config));
    assert!(text.contains("not you") && text.contains("--access-key"), "{text}");
    assert!(!text.contains("rolesecret"), "{text}");
}

#[test]
fn aws_a_token_in_a_file_is_enough() {
    let Some(server) = S3::start("aws web identities") else { return };
    server.make_bucket("bucket");
    let folder = tempfile::tempdir().unwrap();
    let sts = Stub::start(|_| (200, sold("AssumeRoleWithWebIdentity", LATER)));
    let token = folder.path().join("token");
    std::fs::write(&token, "e30.e30.c2ln\n").unwrap();
    let place = Place::by_token("s3", &keyless(&server))
        .with("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string())
        .with("AWS_ROLE_ARN", "arn:aws:iam::1:role/pod")
        .with("AWS_ENDPOINT_URL_STS", sts.url());
    works(folder.path(), &place);
    let first = &sts.asked()[0];
    assert!(first.body.contains("WebIdentityToken=e30.e30.c2ln"), "{first:?}");
    assert!(first.body.contains("role%2Fpod"), "{first:?}");
    assert_eq!(first.header("authorization"), None, "the token is the proof");

    let place = place.with("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token");
    let text = refusal(folder.path(), &place);
    assert!(text.contains("AWS_WEB_IDENTITY_TOKEN_FILE, /nowhere/token"), "{text}");
}

#[test]
fn aws_containers_and_machines_have_keys() {
    let Some(server) = S3::start("aws containers and machines") else { return };
    server.make_bucket("bucket");
    let folder = tempfile::tempdir().unwrap();
    let agent = Stub::start(|asked| match asked.header("authorization") {
        Some("pod-token") => (200, offered()),
        _ => (401, String::new()),
    });
    let token = folder.path().join("token");
    std::fs::write(&token, "pod-token\n").unwrap();
    let place = Place::by_token("s3", &keyless(&server))
        .with("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/keys", agent.url()))
        .with("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.display().to_string());
    works(folder.path(), &place);
    assert_eq!(agent.asked()[0].target, "/keys");

    let machine = Stub::start(|asked| {
        let known = asked.header("x-aws-ec2-metadata-token") == Some("the-token");
        match (asked.method.as_str(), asked.target.as_str()) {
            ("PUT", "/latest/api/token") => (200, "the-token".to_owned()),
            ("GET", "/latest/meta-data/iam/security-credentials/") if known => {
                (200, "backup-role\n".to_owned())
            }
            ("GET", "/latest/meta-data/iam/security-credentials/backup-role") if known => {
                (200, offered())
            }
            _ => (401, String::new()),
        }
    });
    let mut config = keyless(&server);
    config["prefix"] = json!("machine/");
    let place =
        Place::by_token("s3", &config).with("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.url());
    works(&folder.path().join("machine"), &place);
    assert!(machine.asked().len() >= 3);

    let place = place.with("AWS_EC2_METADATA_DISABLED", "true");
    let text = refusal(folder.path(), &place);
    assert!(text.contains("neither the environment nor this machine has any"), "{text}");
}

#[test]
fn aws_the_environment_has_keys() {
    let Some(server) = S3::start("aws keys in the environment") else { return };
    server.make_bucket("bucket");
    let folder = tempfile::tempdir().unwrap();
    let place = Place::by_token("s3", &keyless(&server))
        .with("AWS_ACCESS_KEY_ID", S3::KEY_ID)
        .with("AWS_SECRET_ACCESS_KEY", S3::SECRET);
    works(folder.path(), &place);
}

/// Google's storage, which only takes one token.
struct Google {
    server: Gcs,
    proxy: Proxy,
    certificates: Certificates,
    folder: tempfile::TempDir,
}

impl Google {
    fn start(test: &str, token: &str) -> Option<Self> {
        let server = Gcs::start(test)?;
        server.make_bucket("gbucket");
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::make(folder.path());
        let faults = Faults { bearer: Some(token.to_owned()), ..Faults::default() };
        let proxy = Proxy::start_for_hosts(server.server.port(), faults, &certificates);
        Some(Self { server, proxy, certificates, folder })
    }

    fn place(&self) -> Place {
        Place::new(&["gcs", "--bucket=gbucket"])
            .with("HTTPS_PROXY", format!("http://{}", self.proxy.address()))
            .with("SSL_CERT_FILE", self.certificates.authority.display().to_string())
    }

    /// A place where the credentials lie in a file that the environment names.
    fn place_with(&self, credentials: &Value) -> Place {
        let file = self.folder.path().join("credentials.json");
        std::fs::write(&file, credentials.to_string()).unwrap();
        self.place().with("GOOGLE_APPLICATION_CREDENTIALS", file.display().to_string())
    }
}

fn token(text: &str) -> (u16, String) {
    (200, json!({"access_token": text, "expires_in": 3600, "token_type": "Bearer"}).to_string())
}

#[test]
fn google_a_machine_has_tokens() {
    let Some(google) = Google::start("google machines", "second") else { return };
    // The first token is no longer taken; another is asked for.
    let count = AtomicUsize::new(0);
    let machine = Stub::start(move |asked| {
        let flavor = asked.header("metadata-flavor") == Some("Google");
        let path = "/computeMetadata/v1/instance/service-accounts/default/token?scopes=";
        if !flavor || !asked.target.starts_with(path) {
            return (404, String::new());
        }
        let first = count.fetch_add(1, Ordering::Relaxed) == 0;
        token(if first { "first" } else { "second" })
    });
    let place = google.place().with("GCE_METADATA_HOST", machine.address());
    works(google.folder.path(), &place);
    assert!(machine.asked()[0].target.contains("devstorage.full_control"));
    assert!(google.server.server.port() > 0);
}

#[test]
fn google_a_user_refreshes_tokens() {
    let Some(google) = Google::start("google users", "fresh") else { return };
    let seller = Stub::start(|asked| {
        let known = ["grant_type=refresh_token", "client_id=c", "refresh_token=r%2F1"];
        if known.iter().all(|part| asked.body.contains(part)) {
            token("fresh")
        } else {
            (400, json!({"error": "invalid_grant", "error_description": "Bad Request"}).to_string())
        }
    });
    let mut user = json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "hunter2",
        "refresh_token": "r/1", "token_uri": seller.url(),
    });
    works(google.folder.path(), &google.place_with(&user));
    user["refresh_token"] = json!("withdrawn");
    let text = refusal(google.folder.path(), &google.place_with(&user));
    assert!(text.contains("invalid_grant") && text.contains("default credentials"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("withdrawn"), "{text}");
}

/// Workload identity federation: a token of somebody else is changed for one of Google's, and
/// that for one of a service account.
#[test]
fn google_takes_tokens_of_others() {
    let Some(google) = Google::start("google federation", "the account's") else { return };
    let service = Stub::start(|asked| match asked.target.as_str() {
        "/sts" if asked.body.contains("subject_token=e30.e30.c2ln") => token("federated"),
        "/sts" => (400, json!({"error": "invalid_grant"}).to_string()),
        "/subject" if asked.header("x-proof") == Some("yes") => {
            (200, json!({"value": "e30.e30.c2ln"}).to_string())
        }
        "/sa:generateAccessToken" if asked.header("authorization") == Some("Bearer federated") => {
            let until = "2099-01-01T00:00:00Z";
            (200, json!({"accessToken": "the account's", "expireTime": until}).to_string())
        }
        _ => (403, json!({"error": {"message": "no", "status": "PERMISSION_DENIED"}}).to_string()),
    });
    let file = google.folder.path().join("subject");
    std::fs::write(&file, "e30.e30.c2ln\n").unwrap();
    let mut external = json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/sts", service.url()),
        "service_account_impersonation_url": format!("{}/sa:generateAccessToken", service.url()),
        "credential_source": {"file": file},
    });
    works(google.folder.path(), &google.place_with(&external));
    let asked = service.asked();
    assert!(asked[0].body.contains("grant-type%3Atoken-exchange"), "{:?}", asked[0]);
    assert!(asked[1].body.contains("devstorage.full_control"), "{:?}", asked[1]);

    // The token may be asked for at an address, and lie in JSON.
    external["credential_source"] = json!({
        "url": format!("{}/subject", service.url()), "headers": {"x-proof": "yes"},
        "format": {"type": "json", "subject_token_field_name": "value"},
    });
    let mut place = google.place_with(&external);
    place.arguments.push("--prefix=other/".to_owned());
    works(&google.folder.path().join("other"), &place);

    std::fs::write(&file, "stale").unwrap();
    external["credential_source"] = json!({"file": file});
    let text = refusal(google.folder.path(), &google.place_with(&external));
    assert!(text.contains("invalid_grant") && !text.contains("stale"), "{text}");
    external["credential_source"] = json!({"executable": {"command": "/bin/sh"}});
    let text = refusal(google.folder.path(), &google.place_with(&external));
    assert!(text.contains("executable"), "{text}");
}

/// A token as Entra ID signs it; the emulator reads its claims only.
fn entra_token() -> (u16, String) {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "aud": "https://storage.azure.com", "iss": "https://sts.windows.net/tenant/",
        "iat": 1_500_000_000, "nbf": 1_500_000_000, "exp": 4_102_444_800_u64, "ver": "1.0", "sub": "s",
    });
    let head = json!({"alg": "RS256", "typ": "JWT"});
    let jwt = format!("{}.{}.c2ln", encode(&head), encode(&claims));
    (200, json!({"access_token": jwt, "expires_in": 3600, "token_type": "Bearer"}).to_string())
}

#[test]
fn azure_takes_tokens_of_entra() {
    let Some(server) = Azure::start_believing_tokens("azure tokens") else { return };
    server.make_container("kcont");
    let folder = tempfile::tempdir().unwrap();
    let authority = Stub::start(|asked| {
        let proof = ["client_secret=hunter2", "client_assertion=e30.e30.c2ln"];
        let known = proof.iter().any(|part| asked.body.contains(part)) || is_signed(asked);
        if asked.target == "/tenant/oauth2/v2.0/token" && known {
            return entra_token();
        }
        let what = "AADSTS7000215: Invalid client secret provided";
        (401, json!({"error": "invalid_client", "error_description": what}).to_string())
    });
    let ca = server.certificates.as_ref().unwrap().authority.display().to_string();
    let place = |name: &str, flags: &[&str]| {
        let mut arguments = vec!["azure", "--container=kcont", "--tenant-id=tenant"];
        let (domain, prefix) = (server.domain(), format!("--prefix={name}/"));
        arguments.extend(["--client-id=client", "--storage-account", AZURE_ACCOUNT]);
        arguments.extend(["--storage-domain", &domain, &prefix]);
        arguments.extend(flags);
        Place::new(&arguments)
            .with("AZURE_AUTHORITY_HOST", authority.url())
            .with("SSL_CERT_FILE", ca.clone())
    };
    works(&folder.path().join("1"), &place("secret", &["--client-secret=hunter2"]));
    let first = &authority.asked()[0];
    assert!(first.body.contains("scope=https%3A%2F%2Fstorage.azure.com%2F.default"), "{first:?}");

    let file = folder.path().join("federated");
    std::fs::write(&file, "e30.e30.c2ln\n").unwrap();
    let flag = format!("--azure-federated-token-file={}", file.display());
    works(&folder.path().join("2"), &place("federated", &[&flag]));

    let pem = client_certificate(folder.path());
    works(
        &folder.path().join("3"),
        &place("certificate", &[]).with("AZURE_CLIENT_CERTIFICATE", pem),
    );

    let text = refusal(folder.path(), &place("wrong", &["--client-secret=wrong-one"]));
    assert!(text.contains("AADSTS7000215") && text.contains("--client-secret"), "{text}");
    assert!(!text.contains("wrong-one"), "{text}");
    let place = place("wrong", &[]).with("AZURE_CLIENT_CERTIFICATE", "nonsense");
    let text = refusal(folder.path(), &place);
    assert!(text.contains("--client-cert") && !text.contains("nonsense"), "{text}");
}

/// A certificate and its RSA key in one text.
fn client_certificate(folder: &Path) -> String {
    let (key, certificate) = (folder.join("client.key"), folder.join("client.pem"));
    let output = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=kopist", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = |path: &Path| std::fs::read_to_string(path).unwrap();
    format!("{}{}", text(&certificate), text(&key))
}

/// Whether an assertion is one that a certificate could have signed: who, for whom, by what.
fn is_signed(asked: &Asked) -> bool {
    let parts: Vec<&str> = asked
        .body
        .split('&')
        .find_map(|p| p.strip_prefix("client_assertion="))
        .unwrap_or_default()
        .split('.')
        .collect();
    let [head, claims, signature] = parts[..] else { return false };
    let read = |part: &str| -> Option<Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    let (Some(head), Some(claims)) = (read(head), read(claims)) else { return false };
    head["alg"] == "PS256"
        && head["x5t#S256"].as_str().is_some_and(|hash| hash.len() == 43)
        && claims["iss"] == "client"
        && claims["sub"] == "client"
        && claims["aud"].as_str().is_some_and(|aud| aud.ends_with("/tenant/oauth2/v2.0/token"))
        && claims["jti"].as_str().is_some_and(|id| id.len() >= 16)
        && signature.len() == 342
}

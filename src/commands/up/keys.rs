//! The keys that `polder up` makes once and keeps: one S3 key a role, and the first admin token.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;

use super::folder::write_private;
use crate::{
    catalog::Role,
    commands::{
        Session,
        target::{buckets, keys_file, read_env_file},
    },
    database::Database,
    storage::{Secret, Settings as StorageSettings, embedded::Credential},
};

/// The region that the embedded store signs for.
const EMBEDDED_REGION: &str = "us-east-1";

/// The first admin token is made once; its hash is in the database, itself only in this file.
pub(super) async fn make_admin_token(database: &Database, data: &Path) -> anyhow::Result<()> {
    let path = data.join("admin.token");
    let token = if let Ok(token) = fs::read_to_string(&path) {
        token.trim().to_owned()
    } else {
        let token = format!("polder_{}", random_hex());
        write_private(&path, format!("{token}\n").as_bytes())?;
        token
    };
    database.ensure_token("first admin", Role::Admin, &token).await.context("cannot keep the admin token")
}

/// Reads the keys of all roles, making those that are missing; writes where the store listens now beside them.
pub(super) fn embedded_credentials(data: &Path, endpoint: &str) -> anyhow::Result<Vec<Credential>> {
    let roles = [Role::Viewer, Role::Uploader, Role::Pipeline, Role::Admin];
    roles.into_iter().map(|role| credential(data, role, endpoint)).collect()
}

fn credential(data: &Path, role: Role, endpoint: &str) -> anyhow::Result<Credential> {
    let path = keys_file(data, role);
    let kept = if path.exists() { read_env_file(&path)? } else { BTreeMap::new() };
    let keep_or = |name: &str, fresh: String| kept.get(name).cloned().unwrap_or(fresh);
    let access_key_id = keep_or("AWS_ACCESS_KEY_ID", format!("POLDER{}", &random_hex()[..14].to_uppercase()));
    let secret = keep_or("AWS_SECRET_ACCESS_KEY", random_hex());
    let text = format!(
        "# S3 keys of polder's embedded store, role {role}. Keep this file to yourself.\n\
         AWS_ACCESS_KEY_ID={access_key_id}\nAWS_SECRET_ACCESS_KEY={secret}\nAWS_REGION={EMBEDDED_REGION}\n\
         AWS_DEFAULT_REGION={EMBEDDED_REGION}\nAWS_ENDPOINT_URL={endpoint}\nAWS_ENDPOINT_URL_S3={endpoint}\n"
    );
    write_private(&path, text.as_bytes())?;
    Ok(Credential { role, access_key_id, secret_access_key: Secret::new(secret) })
}

pub(super) fn embedded_settings(
    session: &Session,
    data: &Path,
    endpoint: &str,
    role: Role,
) -> anyhow::Result<StorageSettings> {
    let keys = read_env_file(&keys_file(data, role))?;
    Ok(StorageSettings {
        endpoint: Some(endpoint.to_owned()),
        public_endpoint: session.settings.s3_public_endpoint.clone(),
        region: EMBEDDED_REGION.to_owned(),
        access_key_id: keys.get("AWS_ACCESS_KEY_ID").cloned(),
        secret_access_key: keys.get("AWS_SECRET_ACCESS_KEY").cloned().map(Secret::new),
        session_token: None,
        path_style: true,
        buckets: buckets(&session.settings),
    })
}

/// 256 bits of the operating system's randomness, in hexadecimal.
fn random_hex() -> String {
    let (a, b) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    format!("{}{}", a.simple(), b.simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_are_readable_by_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let first = credential(folder.path(), Role::Viewer, "http://127.0.0.1:9000").unwrap();
        let again = credential(folder.path(), Role::Viewer, "http://127.0.0.1:9001").unwrap();
        assert_eq!(first.access_key_id, again.access_key_id);
        let path = keys_file(folder.path(), Role::Viewer);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_env_file(&path).unwrap()["AWS_ENDPOINT_URL"], "http://127.0.0.1:9001");
    }
}

//! Every setting, typed, with its flag, its variable and its default.
//!
//! A flag wins over a variable, a variable over the settings file, the file over the default. Secrets have no
//! flag: they come from variables or from the data folder of `polder up`, and are shown as `***`.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, CommandFactory};

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the settings file {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read the settings file {}: {reason}", path.display())]
    Syntax { path: PathBuf, reason: String },
    #[error("the settings file {} has an unknown key {key:?}; known are: {known}", path.display())]
    UnknownKey { path: PathBuf, key: String, known: String },
}

/// Where the database and the buckets are. Without any of these, a running `polder up` is looked for.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Where things are")]
pub struct Settings {
    /// Data folder of a `polder up`, whose database, buckets and keys are used [default: ~/.local/share/polder]
    #[arg(long, env = "POLDER_DATA", value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,

    /// PostgreSQL database with `PostGIS`, as `postgres://user@host/name` (a password belongs in ~/.pgpass or `PGPASSWORD`)
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true, global = true)]
    pub database_url: Option<String>,

    /// S3 endpoint for polder itself; keys come from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`
    #[arg(long, env = "POLDER_S3_ENDPOINT", value_name = "URL", global = true)]
    pub s3_endpoint: Option<String>,

    /// S3 endpoint as others reach it; when given, downloads are redirected there instead of streamed
    #[arg(long, env = "POLDER_S3_PUBLIC_ENDPOINT", value_name = "URL", global = true)]
    pub s3_public_endpoint: Option<String>,

    /// S3 region
    #[arg(long, env = "AWS_REGION", value_name = "NAME", default_value = "us-east-1", global = true)]
    pub s3_region: String,

    /// Put the bucket in the host name of S3 URLs instead of the path
    #[arg(long, env = "POLDER_S3_VIRTUAL_HOST", global = true)]
    pub s3_virtual_host: bool,

    /// Bucket of the photos
    #[arg(long, env = "POLDER_BUCKET_RAW", value_name = "NAME", default_value = "drone-raw", global = true)]
    pub bucket_raw: String,

    /// Bucket of the orthophotos
    #[arg(long, env = "POLDER_BUCKET_ORTHO", value_name = "NAME", default_value = "drone-ortho", global = true)]
    pub bucket_ortho: String,

    /// Bucket of the detection runs
    #[arg(long, env = "POLDER_BUCKET_RESULTS", value_name = "NAME", default_value = "ai-results", global = true)]
    pub bucket_results: String,

    /// Bucket of the models
    #[arg(long, env = "POLDER_BUCKET_MODELS", value_name = "NAME", default_value = "ai-models", global = true)]
    pub bucket_models: String,
}

impl Settings {
    /// Returns the data folder: the given one, else the user's own.
    pub fn data_folder(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| {
            let home = || PathBuf::from(env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".local/share");
            env::var_os("XDG_DATA_HOME").map_or_else(home, PathBuf::from).join("polder")
        })
    }

    /// Returns the S3 endpoint, also from the variables of the AWS tools.
    pub fn endpoint(&self) -> Option<String> {
        self.s3_endpoint.clone().or_else(|| variable("AWS_ENDPOINT_URL_S3")).or_else(|| variable("AWS_ENDPOINT_URL"))
    }
}

/// The keys of an S3 that the environment holds, as the AWS tools name them.
#[derive(Clone)]
pub struct Keys {
    pub access_key_id: String,
    pub secret_access_key: Option<String>,
    pub session_token: Option<String>,
}

/// Returns the S3 keys in the environment, if there are any.
pub fn keys() -> Option<Keys> {
    Some(Keys {
        access_key_id: variable("AWS_ACCESS_KEY_ID")?,
        secret_access_key: variable("AWS_SECRET_ACCESS_KEY"),
        session_token: variable("AWS_SESSION_TOKEN"),
    })
}

/// Returns the token of the ODM server, which has no flag.
pub fn odm_token() -> Option<String> {
    variable("POLDER_ODM_TOKEN")
}

/// Returns where steps keep files while they work: `$XDG_CACHE_HOME/polder/work`.
pub fn work_folder() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".cache");
    env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("polder/work")
}

/// Returns the user who runs polder, for the audit.
pub fn user() -> String {
    variable("POLDER_USER").or_else(|| variable("USER")).unwrap_or_else(|| "polder".to_owned())
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Makes the values of a TOML settings file the defaults of the command line.
///
/// Its keys are the flags without dashes in front and with underscores: `database_url = "…"`.
///
/// # Errors
/// [`Error::UnknownKey`] names a key that is no setting; the others say what is wrong with the file.
pub fn with_file(mut command: clap::Command, path: &Path) -> Result<clap::Command, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let syntax = |reason: String| Error::Syntax { path: path.to_owned(), reason };
    let values: BTreeMap<String, toml::Value> = toml::from_str(&text).map_err(|e| syntax(e.message().to_owned()))?;
    let known = known_keys();
    for (key, value) in values {
        if !known.contains(&key) {
            return Err(Error::UnknownKey { path: path.to_owned(), key, known: known.join(", ") });
        }
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Boolean(flag) => flag.to_string(),
            toml::Value::Integer(number) => number.to_string(),
            other => {
                return Err(syntax(format!(
                    "{key} must be text, a number, or true or false, not {}",
                    other.type_str()
                )));
            }
        };
        command = command.mut_arg(key, |argument| argument.default_value(value));
    }
    Ok(command)
}

/// Lists the settings that a file may hold.
fn known_keys() -> Vec<String> {
    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        settings: Settings,
    }
    let named = |a: &clap::Arg| a.get_id().to_string();
    Only::command().get_arguments().map(named).filter(|id| id != "help" && id != "version").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{FromArgMatches as _, Parser};

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        settings: Settings,
    }

    fn parse(file: &str, arguments: &[&str]) -> Result<Settings, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("polder.toml");
        fs::write(&path, file).unwrap();
        let matches = with_file(Cli::command(), &path)?.get_matches_from(arguments);
        Ok(Cli::from_arg_matches(&matches).unwrap().settings)
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let settings =
            parse("bucket_raw = 'photos'\nbucket_ortho = 'maps'", &["polder", "--bucket-raw", "other"]).unwrap();
        assert_eq!((settings.bucket_raw.as_str(), settings.bucket_ortho.as_str()), ("other", "maps"));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = parse("bucket_rwa = 'photos'", &["polder"]).unwrap_err().to_string();
        assert!(error.contains("bucket_rwa") && error.contains("bucket_raw"), "{error}");
    }
}

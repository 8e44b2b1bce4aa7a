//! What was answered is there after a stop, a crash and a kill; what was not is gone.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use aws_sdk_s3::types::BucketVersioningStatus::Enabled;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{Running, get, noise, options, put, set_versioning, versions::count_blobs};
use crate::{
    catalog::Role,
    storage::{
        Storage,
        embedded::{Error, Store},
    },
};

/// Set for the process that the kill test starts: the folder to serve.
const FOLDER: &str = "POLDER_TEST_STORE_FOLDER";

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let store = Running::start().await;
    let s3 = store.with_bucket("again").await;
    set_versioning(&s3, "again", Enabled).await;
    let first = put(&s3, "again", "a", "first").await.unwrap();
    put(&s3, "again", "a", "second").await;
    let upload = s3.create_multipart_upload().bucket("again").key("b").send().await.unwrap().upload_id.unwrap();

    let store = Running::start_in(store.stop().await).await;
    let s3 = store.s3(Role::Admin);
    assert_eq!(get(&s3, "again", "a", None).await.unwrap(), "second");
    assert_eq!(get(&s3, "again", "a", Some(&first)).await.unwrap(), "first");
    let third = put(&s3, "again", "a", "third").await;
    let listed = s3.list_object_versions().bucket("again").send().await.unwrap();
    assert_eq!(listed.versions()[0].version_id().map(str::to_owned), third);
    let uploads = s3.list_multipart_uploads().bucket("again").send().await.unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(upload.as_str()));
}

#[tokio::test]
async fn a_folder_is_opened_by_one_at_a_time() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(options(folder.path())).await.unwrap();
    let error = Store::open(options(folder.path())).await.err().unwrap();
    assert!(matches!(&error, Error::InUse { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(&folder.path().display().to_string()) && text.contains(&std::process::id().to_string()),
        "{text}"
    );
    drop(store);
    Store::open(options(folder.path())).await.unwrap();
}

#[tokio::test]
async fn litter_goes_after_an_hour_and_losses_are_told() {
    let store = Running::start().await;
    let s3 = store.with_bucket("litter").await;
    put(&s3, "litter", "kept", "kept").await;
    put(&s3, "litter", "lost", "lost").await;
    let folder = store.stop().await;
    let shelf = folder.path().join("blobs/00");
    fs::create_dir_all(&shelf).unwrap();
    for (name, age_s) in [("00young", 60), ("00old", 4000)] {
        let file = fs::File::create(shelf.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age_s)).unwrap();
    }
    fs::write(folder.path().join("tmp/half"), "half").unwrap();
    for blob in all_blobs(folder.path()) {
        if fs::read(&blob).unwrap() == b"lost" {
            fs::remove_file(blob).unwrap();
        }
    }

    let store = Store::open(options(folder.path())).await.unwrap();
    assert!(shelf.join("00young").exists() && !shelf.join("00old").exists());
    assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    assert_eq!(store.missing().len(), 1);
    assert!(store.missing()[0].starts_with("s3://litter/lost"), "{:?}", store.missing());
    drop(store);
    let store = Running::start_in(folder).await;
    let s3 = store.s3(Role::Admin);
    assert_eq!(get(&s3, "litter", "kept", None).await.unwrap(), "kept");
    assert_eq!(get(&s3, "litter", "lost", None).await, Err(500));
}

#[tokio::test]
async fn a_broken_off_body_leaves_nothing() {
    use tokio::io::AsyncWriteExt as _;
    let store = Running::start().await;
    let s3 = store.with_bucket("broken").await;
    let config = aws_sdk_s3::presigning::PresigningConfig::expires_in(Duration::from_mins(1)).unwrap();
    let signed = s3.put_object().bucket("broken").key("a").presigned(config).await.unwrap();
    let path = signed.uri().strip_prefix(&format!("http://{}", store.address)).unwrap().to_owned();
    let mut stream = tokio::net::TcpStream::connect(store.address).await.unwrap();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000000\r\n\r\n", store.address);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&noise(300_000, 1)).await.unwrap();
    let tmp = store.folder.path().join("tmp");
    let files = |expected: usize| {
        let tmp = tmp.clone();
        async move {
            for _ in 0..200 {
                if fs::read_dir(&tmp).unwrap().count() == expected {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            panic!("there are not {expected} files in tmp");
        }
    };
    files(1).await;
    drop(stream);
    files(0).await;
    assert_eq!(count_blobs(store.folder.path()), 0);
    assert_eq!(get(&s3, "broken", "a", None).await, Err(404));
}

/// Writes from many tasks, kills the store in the middle, opens it again, and looks for everything that was
/// answered; several times over.
#[tokio::test]
async fn every_answered_write_survives_a_kill() {
    let folder = TempDir::new().unwrap();
    let mut answered: HashMap<String, (String, Vec<u8>)> = HashMap::new();
    for round in 0..4_u64 {
        let (mut child, storage) = start_child(folder.path());
        let s3 = storage.client().clone();
        if round == 0 {
            s3.create_bucket().bucket("kill").send().await.unwrap();
            set_versioning(&s3, "kill", Enabled).await;
        }
        for (key, (id, bytes)) in &answered {
            assert_eq!(
                get(&s3, "kill", key, Some(id)).await.as_deref(),
                Ok(bytes.as_slice()),
                "{key} in round {round}"
            );
        }
        let writers: Vec<_> =
            (0..6_u64).map(|writer| tokio::spawn(write_until_killed(s3.clone(), round, writer))).collect();
        tokio::time::sleep(Duration::from_millis(400)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        for writer in writers {
            answered.extend(writer.await.unwrap());
        }
    }
    assert!(answered.len() > 8, "only {} writes were answered: the test shows nothing", answered.len());
    let store = Store::open(options(folder.path())).await.unwrap();
    assert_eq!(store.missing(), [""; 0]);
}

async fn write_until_killed(s3: aws_sdk_s3::Client, round: u64, writer: u64) -> Vec<(String, (String, Vec<u8>))> {
    let mut written = Vec::new();
    for n in 0.. {
        let key = format!("{round}-{writer}-{n}");
        let bytes = noise(20_000 + n as usize * 7919, round ^ (writer << 8) ^ (n << 16));
        let request = s3.put_object().bucket("kill").key(&key).body(bytes.clone().into());
        let once = aws_sdk_s3::config::Builder::new().retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled());
        match request.customize().config_override(once).send().await {
            Ok(answer) => written.push((key, (answer.version_id.unwrap(), bytes))),
            Err(_) => break,
        }
    }
    written
}

/// Starts this very test binary as a store of its own, for it to be killed.
fn start_child(folder: &std::path::Path) -> (Child, Storage) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "storage::tests::restart::serves_a_folder_for_the_kill_test", "--nocapture", "--ignored"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let endpoint =
        lines.map_while(Result::ok).find_map(|line| line.split_once("endpoint=").map(|(_, url)| url.to_owned()));
    let mut settings = super::Settings {
        endpoint,
        public_endpoint: None,
        region: "us-east-1".to_owned(),
        access_key_id: Some(super::key_id(Role::Admin)),
        secret_access_key: Some(super::secret(Role::Admin)),
        session_token: None,
        path_style: true,
        buckets: crate::storage::Buckets::default(),
    };
    settings.endpoint = Some(settings.endpoint.expect("the child says where it listens"));
    (child, Storage::connect(&settings).unwrap())
}

#[tokio::test]
#[ignore = "the kill test starts it in a process of its own"]
async fn serves_a_folder_for_the_kill_test() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = Store::open(options(folder.as_ref())).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("endpoint=http://{}", listener.local_addr().unwrap());
    store.serve(listener, std::future::pending()).await.unwrap();
}

fn all_blobs(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let shelves = fs::read_dir(folder.join("blobs")).unwrap();
    let blobs = shelves.flat_map(|shelf| fs::read_dir(shelf.unwrap().path()).unwrap());
    blobs.map(|blob| blob.unwrap().path()).collect()
}

//! The protocol of NodeODM, which ClusterODM speaks too: its OpenAPI document, a method a call.
//!
//! Two things are not in that document. Nearly every fault is a 200 with `{"error": …}`, ClusterODM alone says 401; and
//! after a restart a server may have forgotten a task, which it says as "not found" or "Invalid route".

use std::path::Path;

use futures::StreamExt as _;
use http::{Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::{
    Error, Result,
    address::{Address, form},
    http::{Call, Content, Http},
};

/// S3 behind a ClusterODM answers at the first redirect.
const MOST_REDIRECTS: usize = 5;
/// Data of a download must come within this time.
const STALLED_AFTER: std::time::Duration = std::time::Duration::from_mins(1);

/// A server.
#[derive(Clone)]
pub struct Node {
    http: Http,
}

/// What a server says about itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeInfo {
    /// Of the API.
    pub version: String,
    /// `odm`, or another engine with the same API; servers before 1.5 do not say.
    pub engine: Option<String>,
    #[serde(alias = "odmVersion")]
    pub engine_version: Option<String>,
    pub max_images: Option<usize>,
}

/// An option that tasks may have.
#[derive(Clone, Debug, Deserialize)]
pub struct OptionSpec {
    pub name: String,
    /// `int`, `float`, `string`, `bool`, `enum`.
    #[serde(default)]
    pub r#type: String,
    /// Words, as `positive integer`; or the list of values of an `enum`.
    #[serde(default)]
    pub domain: Value,
}

/// A name and a value of the type that the server asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub name: String,
    pub value: Value,
}

/// Where a task is.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskInfo {
    pub state: State,
    /// The share done, 0 to 1; old servers do not say.
    pub progress: Option<f64>,
    pub images: Option<usize>,
    pub processing_ms: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum State {
    Queued,
    Running,
    Failed(String),
    Completed,
    Cancelled,
}

impl Node {
    /// Prepares calls to a server.
    ///
    /// # Errors
    /// [`Error::NoCertificates`].
    pub fn new(address: Address) -> Result<Self> {
        Ok(Self { http: Http::new(address)? })
    }

    pub fn url(&self) -> String {
        self.http.address().to_string()
    }

    /// Makes words of the server fit for an error.
    pub fn tell(&self, said: &str) -> String {
        self.http.tell(said)
    }

    /// Asks who answers.
    ///
    /// # Errors
    /// [`Error::NotOdm`] when it is something else; the others of [`Http::json`].
    pub async fn info(&self) -> Result<NodeInfo> {
        let not_odm = |reason: String| Error::NotOdm { url: self.url(), reason };
        match self.http.json(&Call::get("ask who it is", "/info".to_owned())).await {
            Ok(value) => serde_json::from_value(value).map_err(|error| not_odm(format!("/info: {error}"))),
            Err(Error::Status { status: 404 | 405, .. }) => Err(not_odm("it has no /info".to_owned())),
            Err(error) => Err(error),
        }
    }

    /// Lists the options that tasks may have.
    ///
    /// # Errors
    /// Those of [`Http::json`].
    pub async fn options(&self) -> Result<Vec<OptionSpec>> {
        let value = self.http.json(&Call::get("list its options", "/options".to_owned())).await?;
        let not_odm = |error| Error::NotOdm { url: self.url(), reason: format!("/options: {error}") };
        serde_json::from_value(value).map_err(not_odm)
    }

    /// Begins a task and returns its id; photos can be uploaded then. `outputs` are the files wanted of the result.
    ///
    /// The id is chosen here (`set-uuid`), so that it can be written down before the server knows it.
    ///
    /// # Errors
    /// Those of [`Http::json`]; it is tried once.
    pub async fn begin(&self, id: &str, name: &str, choices: &[Choice], outputs: &[&str]) -> Result<String> {
        let choices: Vec<Value> = choices.iter().map(|c| json!({ "name": c.name, "value": c.value })).collect();
        let fields = vec![
            ("name", name.to_owned()),
            ("options", Value::from(choices).to_string()),
            ("skipPostProcessing", "true".to_owned()),
            ("outputs", json!(outputs).to_string()),
        ];
        let mut call = Call::post("begin a task", "/task/new/init".to_owned(), Content::Fields(fields));
        call.headers.push(("set-uuid", id.to_owned()));
        call.again = false;
        let answer = self.http.json(&call).await?;
        let not_odm = || Error::NotOdm { url: self.url(), reason: "a new task has no uuid".to_owned() };
        answer["uuid"].as_str().map(str::to_owned).ok_or_else(not_odm)
    }

    /// Uploads one file to a task.
    ///
    /// # Errors
    /// [`Error::TaskLost`] when the task is not waiting for files; those of [`Http::json`].
    pub async fn upload(&self, task: &str, content: Content, what: &str) -> Result<()> {
        let call = Call::post(&format!("take {what}"), format!("/task/new/upload/{task}"), content);
        let answer = self.known(task, self.http.json(&call).await)?;
        if answer["success"] == json!(true) {
            return Ok(());
        }
        let said = self.tell(&answer.to_string());
        Err(Error::Refused { url: self.url(), doing: call.doing, said })
    }

    /// Starts a task whose files are all there.
    ///
    /// # Errors
    /// [`Error::TaskLost`]; those of [`Http::json`].
    pub async fn commit(&self, task: &str) -> Result<()> {
        let mut call = Call::post("start the task", format!("/task/new/commit/{task}"), Content::Nothing);
        call.again = false;
        let result = self.known(task, self.http.json(&call).await);
        match result {
            Ok(_) => Ok(()),
            // The answer may have been lost on the way: then the task is there, and cannot be committed twice.
            Err(error) => match self.task(task).await {
                Ok(_) => Ok(()),
                Err(_) if error.is_passing() => {
                    call.again = true;
                    self.known(task, self.http.json(&call).await).map(drop)
                }
                Err(_) => Err(error),
            },
        }
    }

    /// Asks how far a task is.
    ///
    /// # Errors
    /// [`Error::TaskLost`] when the server does not know it; those of [`Http::json`].
    pub async fn task(&self, task: &str) -> Result<TaskInfo> {
        let call = Call::get("say how far the task is", format!("/task/{task}/info"));
        let value = self.known(task, self.http.json(&call).await)?;
        let reason = || Error::NotOdm { url: self.url(), reason: "a task has no status".to_owned() };
        // A number in the first versions, later an object.
        let status = &value["status"];
        let code = status["code"].as_i64().or(status.as_i64()).ok_or_else(reason)?;
        let message = status["errorMessage"].as_str().unwrap_or("it gives no reason");
        Ok(TaskInfo {
            state: match code {
                10 => State::Queued,
                20 => State::Running,
                30 => State::Failed(self.tell(message)),
                40 => State::Completed,
                50 => State::Cancelled,
                _ => return Err(reason()),
            },
            progress: value["progress"].as_f64().map(|percent| (percent / 100.0).clamp(0.0, 1.0)),
            images: value["imagesCount"].as_u64().map(|count| count as usize),
            processing_ms: value["processingTime"].as_f64().filter(|ms| *ms >= 0.0),
        })
    }

    /// Reads the last lines of a task's console.
    ///
    /// # Errors
    /// Those of [`Http::json`].
    pub async fn last_lines(&self, task: &str, count: usize) -> Result<Vec<String>> {
        let mut call = Call::get("give the task's output", format!("/task/{task}/output"));
        call.query.push(("line", format!("-{count}")));
        let value = self.known(task, self.http.json(&call).await)?;
        // The document says text, servers give a list of lines.
        let lines: Vec<&str> = match &value {
            Value::String(text) => text.lines().collect(),
            Value::Array(lines) => lines.iter().filter_map(Value::as_str).flat_map(str::lines).collect(),
            _ => Vec::new(),
        };
        let lines = lines.into_iter().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<String> = lines.map(|line| self.tell(line)).collect();
        Ok(lines[lines.len().saturating_sub(count)..].to_vec())
    }

    /// Cancels a task.
    ///
    /// # Errors
    /// Those of [`Http::json`].
    pub async fn cancel(&self, task: &str) -> Result<()> {
        self.order("cancel the task", "/task/cancel", task).await
    }

    /// Puts a cancelled or failed task, whose photos are still there, back in the queue.
    ///
    /// # Errors
    /// Those of [`Http::json`].
    pub async fn restart(&self, task: &str) -> Result<()> {
        self.order("restart the task", "/task/restart", task).await
    }

    /// Removes a task with its photos and results.
    ///
    /// # Errors
    /// Those of [`Http::json`].
    pub async fn remove(&self, task: &str) -> Result<()> {
        self.order("remove the task", "/task/remove", task).await
    }

    async fn order(&self, doing: &str, path: &str, task: &str) -> Result<()> {
        // ClusterODM reads forms only.
        let content = Content::Form(form(&[("uuid", task.to_owned())]));
        let answer = self.known(task, self.http.json(&Call::post(doing, path.to_owned(), content)).await)?;
        let refused = || Error::Refused { url: self.url(), doing: doing.to_owned(), said: answer.to_string() };
        if answer["success"] == json!(true) { Ok(()) } else { Err(refused()) }
    }

    /// Downloads a result to `path`, going on where an earlier attempt ended if the server can do that.
    ///
    /// `tell` hears the share done.
    ///
    /// # Errors
    /// [`Error::Download`] when it ends early or is no file, [`Error::TaskLost`], [`Error::File`], those of [`Http::send`].
    pub async fn download(
        &self,
        task: &str,
        asset: &str,
        path: &Path,
        tell: &(dyn Fn(f64) + Send + Sync),
    ) -> Result<()> {
        let there = tokio::fs::metadata(path).await.map_or(0, |about| about.len());
        let mut call = Call::get("give the result", format!("/task/{task}/download/{asset}"));
        if there > 0 {
            call.headers.push(("range", format!("bytes={there}-")));
        }
        let mut answer = self.http.send(&call).await?;
        for _ in 0..MOST_REDIRECTS {
            let Some(location) = redirect_of(&answer) else { break };
            answer = self.http.follow(&call, &location).await?;
        }
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            // What is there is longer than the result: it is of another attempt of the server.
            tokio::fs::remove_file(path).await.map_err(Error::file(path))?;
            return Err(broken(task, "the part that was there is not of this result".to_owned()));
        }
        self.check_answer(task, &call, &answer)?;
        let goes_on = answer.status() == StatusCode::PARTIAL_CONTENT && starts_at(&answer) == Some(there);
        let start = if goes_on { there } else { 0 };
        let length = length_of(&answer).map(|length| start + length);
        let open = async {
            let file = tokio::fs::OpenOptions::new().create(true).write(true).truncate(!goes_on).open(path).await?;
            let mut file = tokio::io::BufWriter::with_capacity(1 << 18, file);
            tokio::io::AsyncSeekExt::seek(&mut file, std::io::SeekFrom::Start(start)).await?;
            std::io::Result::Ok(file)
        };
        let mut file = open.await.map_err(Error::file(path))?;
        let (mut done, mut data) = (start, answer.into_body().into_data_stream());
        let ended = loop {
            match tokio::time::timeout(STALLED_AFTER, data.next()).await {
                Ok(Some(Ok(bytes))) => {
                    file.write_all(&bytes).await.map_err(Error::file(path))?;
                    done += bytes.len() as u64;
                    tell(length.map_or(0.0, |length| done as f64 / length.max(1) as f64));
                }
                Ok(None) => break Ok(()),
                Ok(Some(Err(error))) => break Err(error.to_string()),
                Err(_) => break Err("no data for a minute".to_owned()),
            }
        };
        // What has come is kept, so that the next attempt can go on there.
        file.flush().await.map_err(Error::file(path))?;
        let whole = ended.is_ok() && length.is_none_or(|length| done == length);
        let of = length.map_or_else(String::new, |length| format!(" of {length}"));
        let why = ended.err().map_or_else(String::new, |why| format!(" ({})", self.tell(&why)));
        if whole { Ok(()) } else { Err(broken(task, format!("{done}{of} bytes came{why}"))) }
    }

    fn check_answer(&self, task: &str, call: &Call<'_>, answer: &Response<Incoming>) -> Result<()> {
        let (url, doing) = (self.url(), call.doing.clone());
        let status = answer.status();
        let is_json = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        match status.as_u16() {
            401 | 403 => Err(Error::Unauthorized { url, doing, said: status.to_string() }),
            404 => Err(Error::TaskLost { url, task: task.to_owned() }),
            code if !status.is_success() => Err(Error::Status { url, doing, status: code, said: status.to_string() }),
            // Faults are JSON with status 200 here too: the asset is not ready, the task is not known.
            _ if is_json.is_some_and(|kind| kind.contains("json")) => {
                Err(broken(task, "the server has no such result".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Turns the ways in which servers say that they do not know a task into one.
    fn known<T>(&self, task: &str, result: Result<T>) -> Result<T> {
        let is_lost = |said: &str| {
            let said = said.to_lowercase();
            said.contains("not found")
                || said.contains("invalid route")
                || said.contains("no longer exists")
                || said.contains("invalid uuid")
                || said.contains("no such file")
        };
        match result {
            Err(Error::Refused { said, .. }) if is_lost(&said) => {
                Err(Error::TaskLost { url: self.url(), task: task.to_owned() })
            }
            Err(Error::Status { status: 404, .. }) => Err(Error::TaskLost { url: self.url(), task: task.to_owned() }),
            other => other,
        }
    }
}

fn broken(task: &str, reason: String) -> Error {
    Error::Download { task: task.to_owned(), reason }
}

fn redirect_of(answer: &Response<Incoming>) -> Option<String> {
    let location = answer.headers().get(header::LOCATION).filter(|_| answer.status().is_redirection())?;
    location.to_str().ok().map(str::to_owned)
}

fn length_of(answer: &Response<Incoming>) -> Option<u64> {
    answer.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The first byte of a part: `Content-Range: bytes 100-199/200`.
fn starts_at(answer: &Response<Incoming>) -> Option<u64> {
    let range = answer.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

//! Clients and checkers that are not ours, on a catalog that somebody filled through the API.
//!
//! Each story is told to a small Python program in `tests/python`, which complains and fails. The last one, schemathesis,
//! makes up requests of every kind; it gets a few for each operation here. `POLDER_TEST_LONG=1` gives it many more, as does
//! `schemathesis --config-file tests/python/schemathesis.toml run URL/stac/api` by hand.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::{Polder, python, succeeds};

/// A catalog with a collection of 25 items and a small COG in polder's own bucket; nothing without Python.
fn filled() -> Option<(Polder, Clients)> {
    let clients = Clients { python: python()? };
    let polder = Polder::up();
    let mut fill = clients.command("fill.py", &polder);
    fill.arg(token_file(&polder)).envs(polder.s3_environment("s3.env"));
    succeeds(&mut fill);
    Some((polder, clients))
}

struct Clients {
    python: PathBuf,
}

impl Clients {
    fn command(&self, story: &str, polder: &Polder) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(Path::new("tests/python").join(story)).arg(&polder.url);
        command
    }

    fn tell(&self, story: &str, polder: &Polder) {
        println!("{}", succeeds(&mut self.command(story, polder)));
    }
}

fn token_file(polder: &Polder) -> PathBuf {
    polder.data().join("admin.token")
}

/// One story after the other on one catalog: the last may change what it finds, and does.
#[test]
fn clients_that_are_not_ours_find_their_way() {
    let Some((polder, clients)) = filled() else { return };
    clients.tell("search_story.py", &polder);
    clients.tell("qgis_story.py", &polder);
    clients.tell("odc_story.py", &polder);
    clients.tell("rustac_story.py", &polder);
    gdal_opens_a_search_as_a_picture(&polder);
    println!("{}", succeeds(clients.command("validator_story.py", &polder).arg(token_file(&polder))));
    schemathesis_finds_nothing(&polder, &clients);
}

/// The STACIT driver makes one picture of all that a search finds.
fn gdal_opens_a_search_as_a_picture(polder: &Polder) {
    let search = format!("{}/stac/search?collections=drone-ortho&ids=dijk-a-small", polder.url);
    let info = succeeds(Command::new("gdalinfo").arg(format!("STACIT:\"{search}\":asset=ortho")));
    assert!(info.contains("Size is 256, 192") && info.contains("Amersfoort / RD New"), "{info}");
    assert!(info.contains("Origin = (190000.0"), "{info}");
}

fn schemathesis_finds_nothing(polder: &Polder, clients: &Clients) {
    let program = clients.python.with_file_name("schemathesis");
    let long = std::env::var_os("POLDER_TEST_LONG").is_some();
    let mut command = Command::new(program);
    command.args(["--config-file", "tests/python/schemathesis.toml", "run", &format!("{}/stac/api", polder.url)]);
    command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", if long { "500" } else { "10" }]);
    command.args(["--no-color", "--output-truncate", "true"]);
    command.env("POLDER_TOKEN", fs::read_to_string(token_file(polder)).unwrap().trim());
    println!("{}", succeeds(&mut command));
    let ready = polder.get("/readyz");
    assert_eq!(ready["database"], "ok", "{ready}");
}

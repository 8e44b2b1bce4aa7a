//! Keeps the import table of `docs/ARCHITECTURE.md` true: which module may use which, and which crates never enter.
//!
//! The table is read from that page, so that there is one copy. The source is read as tokens, not compiled: comments
//! and strings do not count, `use crate::{a, b::c}` counts as `crate::a` and `crate::b::c`, and `super::super::x` is
//! followed to where it points. Code under `#[cfg(test)]` keeps to the "may use" column, but may use any crate and
//! speak SQL: the tests of the API run on a real database.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Where the table is, and the row that announces it.
const PAGE: &str = "docs/ARCHITECTURE.md";
const TABLE_HEAD: &str = "| module | may use | never |";

/// The one module that may hold SQL.
const SQL_MODULE: &str = "database";

/// What one row of the table allows.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    may_use: Uses,
    /// Paths that never appear: `sqlx`, `aws_*`, `env::var*`.
    never: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Uses {
    Everything,
    Only(BTreeSet<String>),
}

type Table = BTreeMap<String, Rule>;

/// Reads the rows below [`TABLE_HEAD`]; names are the words between backticks.
fn read_table(page: &str) -> Table {
    let mut table = Table::new();
    let rows = page.lines().map(str::trim).skip_while(|line| *line != TABLE_HEAD).skip(2);
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [modules, may_use, never] = cells[..] else { panic!("{PAGE}: a row without three cells: {row}") };
        let may_use =
            if may_use == "everything" { Uses::Everything } else { Uses::Only(quoted(may_use).into_iter().collect()) };
        for module in quoted(modules) {
            table.insert(module, Rule { may_use: may_use.clone(), never: quoted(never) });
        }
    }
    table
}

fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What a reader of Rust needs to see for this test: words, strings and the marks between them.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    /// `::` is one mark; every other mark is its character.
    Mark(&'static str),
    Other,
}

fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        at += match rest {
            ['/', '/', ..] => line_length(rest),
            ['/', '*', ..] => block_comment_length(rest),
            ['r', '"', ..] | ['r', '#', '"' | '#', ..] | ['b', 'r', '"' | '#', ..] => raw_string(rest, &mut found),
            ['b' | 'c', '"', ..] => 1,
            ['"', ..] => string(rest, &mut found),
            ['\'', '\\', _, ..] => 3 + rest[3..].iter().take_while(|c| **c != '\'').count() + 1,
            ['\'', _, '\'', ..] => 3,
            [c, ..] if c.is_alphanumeric() || *c == '_' => word(rest, &mut found),
            [':', ':', ..] => mark(&mut found, "::", 2),
            ['{', ..] => mark(&mut found, "{", 1),
            ['}', ..] => mark(&mut found, "}", 1),
            [',', ..] => mark(&mut found, ",", 1),
            [';', ..] => mark(&mut found, ";", 1),
            ['(', ..] => mark(&mut found, "(", 1),
            [c, ..] if c.is_whitespace() => 1,
            _ => {
                found.push(Token::Other);
                1
            }
        };
    }
    found
}

fn mark(found: &mut Vec<Token>, text: &'static str, length: usize) -> usize {
    found.push(Token::Mark(text));
    length
}

fn word(rest: &[char], found: &mut Vec<Token>) -> usize {
    let word: String = rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').collect();
    let length = word.chars().count();
    found.push(Token::Word(word));
    length
}

fn line_length(rest: &[char]) -> usize {
    rest.iter().take_while(|c| **c != '\n').count()
}

fn block_comment_length(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(rest: &[char], found: &mut Vec<Token>) -> usize {
    let (mut text, mut at) = (String::new(), 1);
    while at < rest.len() && rest[at] != '"' {
        at += usize::from(rest[at] == '\\');
        text.extend(rest.get(at));
        at += 1;
    }
    found.push(Token::Text(text));
    at + 1
}

/// `r"…"`, `r#"…"#`, `br#"…"#`; a raw identifier (`r#type`) is left to [`word`].
fn raw_string(rest: &[char], found: &mut Vec<Token>) -> usize {
    let prefix = rest.iter().take_while(|c| matches!(c, 'b' | 'r')).count();
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    if rest.get(prefix + hashes) != Some(&'"') {
        return if hashes > 0 { prefix + hashes } else { word(rest, found) };
    }
    let start = prefix + hashes + 1;
    let closes = |at: usize| rest[at] == '"' && rest[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    let end = (start..rest.len()).find(|at| closes(*at)).unwrap_or(rest.len());
    found.push(Token::Text(rest[start..end].iter().collect()));
    end + 1 + hashes
}

/// One thing that a file says: a path, or a string; and whether only tests compile it.
#[derive(Debug, PartialEq)]
struct Mention {
    what: What,
    in_tests: bool,
}

#[derive(Debug, PartialEq)]
enum What {
    /// Resolved from the crate's root: `["spatial", "Bbox"]` for `crate::spatial::Bbox`.
    Ours(Vec<String>),
    /// As written: `["std", "fs"]`, `["env", "var"]`.
    Theirs(Vec<String>),
    Text(String),
}

/// Reads every mention in a file whose module is `home` (`["api", "health"]`).
fn mentions(source: &str, home: &[String]) -> Vec<Mention> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    // The braces that are open; a module's knows its name, and each whether it belongs to tests.
    let mut open: Vec<(Option<String>, bool)> = Vec::new();
    let (mut test_follows, mut at) = (false, 0);
    while at < tokens.len() {
        let in_tests = test_follows || open.iter().any(|(_, tests)| *tests);
        match &tokens[at] {
            Token::Mark("{") => {
                let is_module = at >= 2 && tokens[at - 2] == Token::Word("mod".to_owned());
                let name = if let (true, Token::Word(name)) = (is_module, &tokens[at - 1]) {
                    Some(name.clone())
                } else {
                    None
                };
                open.push((name, test_follows));
                test_follows = false;
            }
            Token::Mark("}") => {
                open.pop();
            }
            Token::Mark(";") => test_follows = false,
            Token::Text(text) => found.push(Mention { what: What::Text(text.clone()), in_tests }),
            Token::Word(word) if word == "cfg" && says_test(&tokens[at + 1..]) => test_follows = true,
            Token::Word(_) => {
                let mut paths = Vec::new();
                at = read_paths(&tokens, at, &[], &mut paths);
                let here: Vec<String> =
                    home.iter().cloned().chain(open.iter().filter_map(|(name, _)| name.clone())).collect();
                found.extend(paths.into_iter().map(|path| Mention { what: resolve(path, &here), in_tests }));
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn says_test(after_cfg: &[Token]) -> bool {
    let test = Token::Word("test".to_owned());
    let all = Token::Word("all".to_owned());
    matches!(after_cfg, [Token::Mark("("), second, third, fourth, ..]
        if *second == test || (*second == all && (*third == test || *fourth == test)))
}

/// Reads the path that starts at `at`, with its groups unfolded, and returns where it ends.
fn read_paths(tokens: &[Token], mut at: usize, before: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = before.to_vec();
    while let Some(Token::Word(segment)) = tokens.get(at) {
        path.push(segment.clone());
        at += 1;
        if tokens.get(at) != Some(&Token::Mark("::")) {
            break;
        }
        at += 1;
    }
    if tokens.get(at) == Some(&Token::Mark("{")) && tokens.get(at.wrapping_sub(1)) == Some(&Token::Mark("::")) {
        at += 1;
        while at < tokens.len() && tokens[at] != Token::Mark("}") {
            at = match &tokens[at] {
                // `Settings as StorageSettings` names one thing.
                Token::Word(word) if word == "as" => at + 2,
                Token::Word(_) => read_paths(tokens, at, &path, paths),
                _ => at + 1,
            };
        }
        return at + 1;
    }
    paths.push(path);
    at
}

fn resolve(path: Vec<String>, here: &[String]) -> What {
    let supers = path.iter().take_while(|segment| *segment == "super").count();
    match path[0].as_str() {
        // `polder` is how main.rs, a crate of its own, names the library.
        "crate" | "polder" => What::Ours(path[1..].to_vec()),
        "super" => {
            let parents = &here[..here.len().saturating_sub(supers)];
            What::Ours(parents.iter().chain(&path[supers..]).cloned().collect())
        }
        "self" => What::Ours(here.iter().chain(&path[1..]).cloned().collect()),
        _ => What::Theirs(path),
    }
}

/// Says whether a path that is not ours matches an entry of the "never" column.
///
/// A crate (`sqlx`, `aws_*`) matches where the path starts; `env::var*` matches wherever it stands, because
/// `use std::env` may have come before.
fn is_named(path: &[String], entry: &str) -> bool {
    let wanted: Vec<&str> = entry.split("::").collect();
    let same =
        |(have, want): (&String, &&str)| want.strip_suffix('*').map_or(have == want, |start| have.starts_with(start));
    let matches_at = |at: usize| path.len() >= at + wanted.len() && path[at..].iter().zip(&wanted).all(same);
    if wanted.len() == 1 { path.len() > 1 && matches_at(0) } else { (0..path.len()).any(matches_at) }
}

/// Says whether a string is SQL, by the verb it starts with and the word that must follow.
fn is_sql(text: &str) -> bool {
    const SHAPES: [(&str, &str); 9] = [
        ("select ", " from "),
        ("insert ", " into "),
        ("update ", " set "),
        ("delete ", " from "),
        ("copy ", " stdin"),
        ("create ", " table "),
        ("create ", " index "),
        ("create ", " extension "),
        ("alter ", " table "),
    ];
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    SHAPES.iter().any(|(verb, then)| words.starts_with(verb) && format!("{words} ")[verb.len() - 1..].contains(then))
}

/// Returns what is wrong with one file, a sentence each. `file` is relative to `src/`.
fn violations(table: &Table, file: &Path, source: &str) -> Vec<String> {
    let home = module_of(file);
    let Some(layer) = home.first() else { return Vec::new() };
    let name = format!("src/{}", file.display());
    let Some(rule) = table.get(layer) else {
        return vec![format!("{name}: {PAGE} has no row for `{layer}`; say there what it may use")];
    };
    let mut wrong = BTreeSet::new();
    for mention in mentions(source, &home) {
        match mention.what {
            What::Ours(path) => {
                // A bare `crate::Item` is no module; only names that the table knows can be edges.
                let Some(used) = path.first().filter(|used| *used != layer && table.contains_key(*used)) else {
                    continue;
                };
                if matches!(&rule.may_use, Uses::Only(allowed) if !allowed.contains(used)) {
                    wrong.insert(format!("{name}: `{layer}` uses `{used}` (crate::{})", path.join("::")));
                }
            }
            What::Theirs(path) if !mention.in_tests => {
                for entry in rule.never.iter().filter(|entry| is_named(&path, entry)) {
                    wrong.insert(format!("{name}: `{layer}` never uses `{entry}` ({})", path.join("::")));
                }
            }
            What::Text(text) if !mention.in_tests && layer != SQL_MODULE && is_sql(&text) => {
                let start: String = text.trim().chars().take(40).collect();
                wrong.insert(format!("{name}: SQL belongs in `{SQL_MODULE}`: \"{start}…\""));
            }
            What::Theirs(_) | What::Text(_) => {}
        }
    }
    wrong.into_iter().collect()
}

/// `api/health.rs` is `["api", "health"]`, `api/mod.rs` is `["api"]`, `main.rs` is `["main"]`, `lib.rs` is the root.
fn module_of(file: &Path) -> Vec<String> {
    let mut path: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if matches!(path.last().map(String::as_str), Some("mod" | "lib")) {
        path.pop();
    }
    path
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    files.sort();
    files
}

fn house_table() -> Table {
    read_table(&fs::read_to_string(root().join(PAGE)).unwrap())
}

#[test]
fn every_module_keeps_to_the_import_table() {
    let table = house_table();
    let source = root().join("src");
    let files = rust_files(&source);
    assert!(files.len() > 10, "only {} files found in src: is this test looking in the right place?", files.len());
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|path| violations(&table, path.strip_prefix(&source).unwrap(), &fs::read_to_string(path).unwrap()))
        .collect();
    assert!(wrong.is_empty(), "{} edges that {PAGE} does not have:\n  {}", wrong.len(), wrong.join("\n  "));
}

#[test]
fn the_table_has_the_rows_that_matter() {
    let table = house_table();
    assert_eq!(table["spatial"].may_use, Uses::Only(BTreeSet::new()));
    assert_eq!(table["commands"].may_use, Uses::Everything);
    assert_eq!(table["main"].may_use, Uses::Only(BTreeSet::from(["commands".to_owned()])));
    assert!(table["photogrammetry"].never.contains(&"sqlx".to_owned()));
    for (module, rule) in &table {
        let Uses::Only(allowed) = &rule.may_use else { continue };
        for used in allowed {
            assert!(table.contains_key(used), "`{module}` may use `{used}`, which has no row");
        }
        assert!(
            !allowed.contains("commands") || ["main", "torch"].contains(&module.as_str()),
            "only programs use commands"
        );
        assert!(!allowed.contains("config"), "only commands read config");
    }
}

/// Plants `source` in `file` and returns what is said about it.
fn planted(file: &str, source: &str) -> Vec<String> {
    violations(&house_table(), Path::new(file), source)
}

#[test]
fn an_upward_edge_is_found_however_it_is_written() {
    for source in [
        "use crate::database::Database;",
        "use crate::{spatial::Bbox, database::{items, search}};",
        "pub fn f(d: &crate::database::Database) {}",
        "use super::super::database;",
        "mod inner { use super::super::super::database; }",
        "#[cfg(test)] mod tests { use crate::database::Database; }",
        "/// a 'quote and a lifetime\nfn f<'a>(c: char) -> &'a str { if c == '\"' { \"\\\"\" } else { r#\"\"\"# } }\nuse crate::database;",
    ] {
        assert!(!planted("raster/window.rs", source).is_empty(), "{source}");
    }
}

#[test]
fn what_only_looks_like_an_edge_is_left_alone() {
    for source in [
        "// use crate::database::Database;",
        "/* outer /* inner */ use crate::database; */",
        "const HELP: &str = \"use crate::database::Database\";",
        "const HELP: &str = r#\"use \"crate::database\" here\"#;",
        "use super::database;",
        "use crate::raster::{self, Window};",
        "use crate::{raster::Window as database, spatial::Bbox as storage};",
        "use crate::spatial::{Bbox, Crs};",
        "mod inner { use super::super::database; }",
    ] {
        assert_eq!(planted("raster/window.rs", source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn commands_are_for_main_and_config_is_for_commands() {
    assert_eq!(planted("api/health.rs", "use crate::commands::serve;").len(), 1);
    assert_eq!(planted("pipeline/stitch.rs", "use crate::config::Settings;").len(), 1);
    assert_eq!(planted("main.rs", "use polder::{commands, database::Database};").len(), 1);
    assert!(planted("main.rs", "use polder::commands;").is_empty());
    assert!(planted("commands/serve.rs", "use crate::{api, config::Settings, database::Database};").is_empty());
}

#[test]
fn engines_know_no_network_database_or_environment() {
    for source in [
        "use sqlx::PgPool;",
        "async fn f() { tokio::spawn(async {}); }",
        "use axum::{Router, routing::get};",
        "use aws_sdk_s3::Client;",
        "use std::env; fn f() { env::var(\"HOME\").unwrap(); }",
        "fn f() { let _ = std::env::var_os(\"HOME\"); }",
    ] {
        for file in ["photogrammetry/bundle.rs", "detection/nms.rs", "simulation/camera.rs"] {
            assert!(!planted(file, source).is_empty(), "{file}: {source}");
        }
    }
    assert!(planted("detection/nms.rs", "fn f() -> PathBuf { std::env::temp_dir() }").is_empty());
    assert!(planted("detection/nms.rs", "#[cfg(test)] mod tests { use tokio::fs; }").is_empty());
    assert_eq!(planted("detection/nms.rs", "#[cfg(test)] mod tests { } use tokio::fs;").len(), 1);
}

#[test]
fn sql_is_found_outside_its_room() {
    let select = "fn f() { query(\"select id\\n from items\"); }";
    assert_eq!(planted("api/items.rs", select).len(), 1);
    assert_eq!(planted("pipeline/publish.rs", "const Q: &str = r#\"INSERT INTO items values ($1)\"#;").len(), 1);
    assert!(planted("database/items.rs", select).is_empty());
    assert!(planted("api/items.rs", "const HINT: &str = \"select a model with --model\";").is_empty());
    assert!(planted("api/items.rs", "#[cfg(test)] mod tests { const Q: &str = \"select 1 from items\"; }").is_empty());
}

#[test]
fn a_module_without_a_row_is_named() {
    assert_eq!(planted("ledger/mod.rs", "").len(), 1);
}

//! The flags of polder and those of the user as options of ODM, checked against what the server has.
//!
//! A server leaves out an option that it does not know and says nothing; so it is found here.

use serde_json::{Value, json};

use super::{
    Error, Result,
    node::{Choice, OptionSpec},
};
use crate::{photogrammetry::PhotoInput, spatial};

/// Asked for when the photos do not say how high they were taken; ODM takes its own estimate of the GSD when that is more.
const FINEST_GSD_M: f64 = 0.01;

/// Heights in the metadata are those above the take-off, and the ground may be nearer: a dike of 6 m under a flight at 35 m is
/// a GSD finer by a sixth. So a finer one is asked for, and ODM stops at nine tenths of the GSD that it finds itself.
const NEARER_GROUND: f64 = 0.7;

/// What polder asks of ODM.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub gsd_m: Option<f64>,
    pub dsm: bool,
}

/// Checks the user's own options, before anything is uploaded.
///
/// # Errors
/// [`Error::UnknownOption`] names those that are alike; [`Error::OptionValue`] says what the option takes.
pub fn check(url: &str, specs: &[OptionSpec], own: &[(String, String)]) -> Result<Vec<Choice>> {
    own.iter().map(|(name, value)| choice(url, specs, name, value)).collect()
}

/// Returns all options of a task, the user's own last word on each.
///
/// # Errors
/// [`Error::UnknownOption`] when the server lacks one that is needed for what was asked.
pub fn choose(
    url: &str,
    specs: &[OptionSpec],
    own: &[Choice],
    wanted: Wanted,
    photos: &[PhotoInput],
) -> Result<Vec<Choice>> {
    let native = || native_gsd_m(photos).map(|gsd_m| gsd_m * NEARER_GROUND);
    let gsd_m = wanted.gsd_m.or_else(native).unwrap_or(FINEST_GSD_M);
    // Centimetres; to a tenth of a millimetre, and never coarser than asked.
    let resolution = (gsd_m * 10_000.0 + 1e-6).floor().max(1.0) / 100.0;
    let asked = [
        ("orthophoto-resolution", json!(resolution), wanted.gsd_m.is_some()),
        ("dsm", json!(true), wanted.dsm),
        // What is wanted is the orthophoto: no dense points and no textured model.
        ("fast-orthophoto", json!(true), false),
        ("skip-3dmodel", json!(true), false),
    ];
    let mut choices = Vec::new();
    for (name, value, is_needed) in asked {
        let is_wanted = name != "dsm" || wanted.dsm;
        let has = specs.iter().any(|spec| spec.name == name);
        if is_needed && !has {
            return Err(unknown(url, specs, name));
        }
        if has && is_wanted && !own.iter().any(|choice| choice.name == name) {
            choices.push(Choice { name: name.to_owned(), value });
        }
    }
    choices.extend(own.iter().cloned());
    Ok(choices)
}

fn choice(url: &str, specs: &[OptionSpec], name: &str, value: &str) -> Result<Choice> {
    let spec = specs.iter().find(|spec| spec.name == name).ok_or_else(|| unknown(url, specs, name))?;
    let wrong = |reason: String| Error::OptionValue { name: name.to_owned(), value: value.to_owned(), reason };
    let typed = match spec.r#type.as_str() {
        "bool" => match value.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => json!(true),
            "false" | "0" | "no" => json!(false),
            _ => return Err(wrong("it takes true or false".to_owned())),
        },
        "int" => json!(value.parse::<i64>().map_err(|_| wrong("it takes a whole number".to_owned()))?),
        "float" => {
            let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
            json!(number.ok_or_else(|| wrong("it takes a number".to_owned()))?)
        }
        _ => json!(value),
    };
    if let Value::Array(values) = &spec.domain
        && !values.contains(&typed)
    {
        let values: Vec<String> =
            values.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect();
        return Err(wrong(format!("it takes one of {}", values.join(", "))));
    }
    Ok(Choice { name: name.to_owned(), value: typed })
}

fn unknown(url: &str, specs: &[OptionSpec], name: &str) -> Error {
    let words: Vec<&str> = name.split('-').filter(|word| word.len() > 2).collect();
    let alike = |spec: &&OptionSpec| words.iter().any(|word| spec.name.contains(word));
    let near: Vec<&str> = specs.iter().filter(alike).map(|spec| spec.name.as_str()).take(6).collect();
    let near = if near.is_empty() { String::new() } else { format!(" (alike: {})", near.join(", ")) };
    Error::UnknownOption { url: url.to_owned(), name: name.to_owned(), near }
}

/// The median GSD that height and focal length of the photos speak of; `None` when they do not say.
fn native_gsd_m(photos: &[PhotoInput]) -> Option<f64> {
    let of = |photo: &PhotoInput| {
        let (height, focal) = (photo.metadata.relative_altitude_m?, photo.metadata.focal_px?);
        (height > 1.0 && focal > 1.0).then(|| spatial::gsd_m(focal, height))
    };
    let mut gsds: Vec<f64> = photos.iter().filter_map(of).collect();
    gsds.sort_by(f64::total_cmp);
    gsds.get(gsds.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://odm:3000";

    fn specs() -> Vec<OptionSpec> {
        serde_json::from_value(json!([
            { "name": "fast-orthophoto", "type": "bool", "value": "false", "domain": "bool", "help": "" },
            { "name": "dsm", "type": "bool", "value": "false", "domain": "bool", "help": "" },
            { "name": "orthophoto-resolution", "type": "float", "value": "5", "domain": "float > 0.0", "help": "" },
            { "name": "min-num-features", "type": "int", "value": "10000", "domain": "integer", "help": "" },
            { "name": "feature-quality", "type": "enum", "value": "high", "domain": ["ultra", "high", "low"], "help": "" },
        ]))
        .unwrap()
    }

    fn own(pairs: &[(&str, &str)]) -> Result<Vec<Choice>> {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        check(URL, &specs(), &pairs)
    }

    fn chosen(own: &[Choice], wanted: Wanted) -> Vec<(String, Value)> {
        let choices = choose(URL, &specs(), own, wanted, &[]).unwrap();
        choices.into_iter().map(|choice| (choice.name, choice.value)).collect()
    }

    #[test]
    fn flags_become_options_in_the_units_of_odm() {
        let choices = chosen(&[], Wanted { gsd_m: Some(0.0234), dsm: true });
        let expected = [("orthophoto-resolution", json!(2.34)), ("dsm", json!(true)), ("fast-orthophoto", json!(true))];
        assert_eq!(choices, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn the_users_own_option_has_the_last_word() {
        let own = own(&[("fast-orthophoto", "false"), ("min-num-features", "20000")]).unwrap();
        let choices = chosen(&own, Wanted { gsd_m: None, dsm: false });
        let of = |name: &str| choices.iter().filter(|choice| choice.0 == name).map(|c| c.1.clone()).collect::<Vec<_>>();
        assert_eq!(of("fast-orthophoto"), [json!(false)]);
        assert_eq!(of("min-num-features"), [json!(20_000)]);
        assert!(of("dsm").is_empty());
    }

    #[test]
    fn an_option_that_the_server_lacks_is_named_with_those_alike() {
        let error = own(&[("num-features", "1")]).unwrap_err().to_string();
        assert!(error.contains("num-features") && error.contains("min-num-features"), "{error}");
        let without: Vec<OptionSpec> = specs().into_iter().filter(|spec| spec.name != "dsm").collect();
        let error = choose(URL, &without, &[], Wanted { gsd_m: None, dsm: true }, &[]).unwrap_err().to_string();
        assert!(error.contains("no option dsm"), "{error}");
    }

    #[test]
    fn a_value_of_another_type_is_refused_with_what_it_takes() {
        for (name, value, takes) in [
            ("dsm", "perhaps", "true or false"),
            ("min-num-features", "many", "whole number"),
            ("orthophoto-resolution", "NaN", "a number"),
            ("feature-quality", "best", "ultra, high, low"),
        ] {
            let error = own(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(takes), "{error}");
        }
    }
}

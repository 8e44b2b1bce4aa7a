//! The page as a whole: well-formed, complete, and deaf to hostile names.

use quick_xml::{Reader, events::Event};

use crate::photogrammetry::report::{
    Report,
    testing::{rejected, sample, with_control},
    verdict::judge,
};

fn page_of(mut report: Report) -> String {
    judge(&mut report);
    report.page(None)
}

/// All elements and attributes of a page; fails when a tag is not closed or an attribute not quoted.
fn markup(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut reader = Reader::from_str(page);
    reader.config_mut().check_end_names = true;
    let (mut found, mut depth) = (Vec::new(), 0i32);
    loop {
        let element = match reader.read_event().expect("the page is well-formed") {
            Event::Start(element) => {
                depth += 1;
                element.into_owned()
            }
            Event::Empty(element) => element.into_owned(),
            Event::End(_) => {
                depth -= 1;
                continue;
            }
            Event::Eof => break,
            _ => continue,
        };
        let attributes = element.attributes().map(|attribute| {
            let attribute = attribute.expect("attributes are quoted and unique");
            (attribute.key.as_ref().to_owned(), attribute.value.to_string())
        });
        let attributes = attributes.collect();
        found.push((element.name().as_ref().to_owned(), attributes));
    }
    assert_eq!(depth, 0, "every element is closed");
    found
}

#[test]
fn the_page_is_well_formed_and_says_its_verdict_first() {
    let page = page_of(sample());
    markup(&page);
    let verdict = page.find("<p class=\"word\">ok</p>").expect("the verdict");
    assert!(verdict < page.find("id=\"figures\"").unwrap() && !page.contains("do not use"));
    for id in ["summary", "coverage", "gps", "fit", "cameras", "photos", "made"] {
        assert!(page.contains(&format!("<section id=\"{id}\">")), "{id}");
    }
    assert!(!page.contains("id=\"survey\""), "no surveyed points, no section about them");
    assert!(page_of(with_control()).contains("<section id=\"survey\">"));
}

#[test]
fn a_bad_verdict_comes_with_reasons_and_what_to_do() {
    let mut report = with_control();
    report.gps.as_mut().unwrap().scale_ppm = 90_000.0;
    report.control_points[0].east_m = 2.0;
    let page = page_of(report);
    markup(&page);
    let verdict = &page[page.find("class=\"verdict bad\"").unwrap()..page.find("id=\"figures\"").unwrap()];
    assert!(verdict.contains("do not use") && verdict.contains("9.0 %") && verdict.contains("gcp-1"), "{verdict}");
    assert!(verdict.contains("What to do") && verdict.contains("mark them again"), "{verdict}");
    assert!(page.contains("<tr class=\"off\"><th scope=\"row\">a larger scale by"));
}

#[test]
fn the_page_asks_nobody_for_anything() {
    let page = page_of(with_control());
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("url(h"));
    for (name, attributes) in markup(&page) {
        assert!(!["script", "link", "iframe", "object", "embed", "base", "form"].contains(&name.as_str()), "{name}");
        for (key, value) in attributes {
            assert!(!key.starts_with("on"), "{name} {key}");
            let refers = ["src", "href", "action", "data"].contains(&key.as_str());
            assert!(!refers || value.starts_with("data:image/jpeg;base64,"), "{name} {key} {value}");
        }
    }
}

#[test]
fn hostile_names_stay_names_wherever_they_are_shown() {
    const HOSTILE: &str = "\"><script>alert('x')</script><img src=x onerror=alert(1)>]]>--><style>*{}</style>&amp;.jpg";
    let plain = markup(&page_of(with_control())).len();
    let mut report = with_control();
    report.title = HOSTILE.to_owned();
    report.per_photo[0].name = HOSTILE.to_owned();
    report.cameras[0].camera = HOSTILE.to_owned();
    report.control_points[0].name = HOSTILE.to_owned();
    report.check_points[0].name = HOSTILE.to_owned();
    report.crs = HOSTILE.to_owned();
    report.software = HOSTILE.to_owned();
    report.options = serde_json::json!({ HOSTILE: HOSTILE });
    report.gps.as_mut().unwrap().outliers = vec![HOSTILE.to_owned()];
    let mut reject = rejected([15.0, 15.0], 0.0);
    (reject.name, reject.reason) = (HOSTILE.to_owned(), HOSTILE.to_owned());
    report.photos.rejected = vec![reject];
    let page = page_of(report);
    let found = markup(&page);
    assert!(!found.iter().any(|(name, _)| ["script", "img"].contains(&name.as_str())));
    assert_eq!(found.iter().filter(|(name, _)| name == "style").count(), 1);
    assert!(!page.contains("<script") && !page.contains("<img") && page.contains("&lt;script&gt;"));
    // Only what a rejected photo, a note and an outlier add by themselves.
    assert!(found.len() - plain < 20, "{} against {plain}", found.len());
}

#[test]
fn a_page_of_two_thousand_photos_stays_small() {
    let mut report = sample();
    report.per_photo = report.per_photo.iter().cycle().take(2000).cloned().collect();
    report.overlap.photos = (0..120).map(|row| (0..120).map(|column| (row * column % 13) as u16).collect()).collect();
    let page = page_of(report);
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
}

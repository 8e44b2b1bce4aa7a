//! The map of how many photos see the ground, with the flight above it.

use super::{
    Report,
    map::Map,
    open,
    text::{Text, length, thousands},
};

/// Classes of the map: the fewest photos of each, its name.
const CLASSES: [(u16, &str); 5] = [(1, "1"), (2, "2"), (3, "3–4"), (5, "5–8"), (9, "9 or more")];
/// Rejected photos farther outside the ground seen than this share of its size are not drawn.
const AROUND: f64 = 0.25;

pub fn section(out: &mut String, report: &Report) {
    let overlap = &report.overlap;
    open(
        out,
        "coverage",
        "Coverage and overlap",
        "How many photos see each piece of ground, and where the camera was. Three photos make a height that can be trusted; \
         the rim of a flight always has fewer.",
    );
    let (map, beside) = frame(report);
    out.push_str("<figure>");
    map.open(out, "Map of the overlap with camera positions");
    cells(out, report, &map);
    paths(out, report, &map);
    cameras(out, report, &map);
    map.close(out);
    out.push_str("<figcaption class=\"legend\"><span>Photos:</span>");
    for (class, (_, name)) in CLASSES.iter().enumerate() {
        put!(out, "<span><i class=\"o{class}\"></i>{name}</span>");
    }
    out.push_str("<span><i class=\"dot\"></i>used photo</span>");
    if !report.photos.rejected.is_empty() {
        out.push_str("<span><i class=\"cross\">×</i>rejected photo</span>");
    }
    out.push_str("</figcaption></figure>\n");
    if beside > 0 {
        put!(out, "<p>{beside} rejected photos lie outside this map or have no position.</p>\n");
    }
    put!(
        out,
        "<table class=\"numbers\"><thead><tr><th scope=\"col\">Seen by</th><th scope=\"col\">2 or more</th><th scope=\"col\">3 or more</th>\
         <th scope=\"col\">5 or more</th><th scope=\"col\">median</th></tr></thead>\
         <tbody><tr><th scope=\"row\">share of the ground</th><td>{:.1} %</td><td>{:.1} %</td><td>{:.1} %</td><td>{} photos</td></tr></tbody></table>\n",
        overlap.at_least_two * 100.0,
        overlap.at_least_three * 100.0,
        overlap.at_least_five * 100.0,
        overlap.median_photos
    );
    blocks(out, report);
    out.push_str("</section>\n");
}

/// The parts of a flight with holes, each of which stands by itself.
fn blocks(out: &mut String, report: &Report) {
    if report.blocks.len() < 2 {
        return;
    }
    put!(
        out,
        "<h3>{} blocks</h3><p>No matches tie these parts of the flight to each other; each stands on its own positions.</p>\n\
         <table class=\"numbers\"><thead><tr><th scope=\"col\">block</th><th scope=\"col\">photos</th><th scope=\"col\">tie points</th>\
         <th scope=\"col\">error, px</th><th scope=\"col\">control points</th><th scope=\"col\">against GPS, in plan</th></tr></thead><tbody>\n",
        report.blocks.len()
    );
    for (index, block) in report.blocks.iter().enumerate() {
        let gps = block.gps.as_ref().map_or("–".to_owned(), |gps| length(gps.horizontal_rmse_m));
        put!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{:.2}</td><td>{}</td><td>{gps}</td></tr>\n",
            index + 1,
            block.photos,
            thousands(block.tie_points),
            block.reprojection_rmse_px,
            block.control_points
        );
    }
    out.push_str("</tbody></table>\n");
}

/// The map, wide enough for rejected photos nearby, and how many of them it does not show.
fn frame(report: &Report) -> (Map, usize) {
    let [mut west, mut south, mut east, mut north] = report.overlap.extent();
    let around = AROUND * (east - west).max(north - south);
    let limits = [west - around, south - around, east + around, north + around];
    let mut beside = 0;
    for photo in &report.photos.rejected {
        let place = photo.east_m.zip(photo.north_m);
        match place.filter(|(x, y)| *x > limits[0] && *y > limits[1] && *x < limits[2] && *y < limits[3]) {
            Some((x, y)) => {
                (west, south, east, north) = (west.min(x), south.min(y), east.max(x), north.max(y));
            }
            None => beside += 1,
        }
    }
    (Map::of([west, south, east, north]), beside)
}

/// One path for each class, of runs along the rows.
fn cells(out: &mut String, report: &Report, map: &Map) {
    let overlap = &report.overlap;
    let class_of = |count: u16| CLASSES.iter().rposition(|(least, _)| count >= *least);
    let mut paths = vec![String::new(); CLASSES.len()];
    let tall = map.pixels(overlap.cell_m);
    for (row, counts) in overlap.photos.iter().enumerate() {
        let mut column = 0;
        for run in counts.chunk_by(|a, b| class_of(*a) == class_of(*b)) {
            if let Some(class) = class_of(run[0]) {
                let east = overlap.west_m + column as f64 * overlap.cell_m;
                let [x, y] = map.point([east, overlap.north_m - row as f64 * overlap.cell_m]);
                let wide = tall * run.len() as f64;
                // A little over the next row, so that no hairline shows between them.
                put!(paths[class], "M{x:.1} {y:.1}h{wide:.1}v{:.2}h-{wide:.1}z", tall + 0.3);
            }
            column += run.len();
        }
    }
    for (class, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        put!(out, "<path class=\"o{class}\" d=\"{path}\"/>\n");
    }
}

/// The way from photo to photo, sortie by sortie.
fn paths(out: &mut String, report: &Report, map: &Map) {
    out.push_str("<path class=\"way\" d=\"");
    for sortie in report.per_photo.chunk_by(|a, b| a.sortie == b.sortie) {
        for (index, photo) in sortie.iter().enumerate() {
            let [x, y] = map.point([photo.east_m, photo.north_m]);
            put!(out, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
        }
    }
    out.push_str("\"/>\n");
}

fn cameras(out: &mut String, report: &Report, map: &Map) {
    for photo in &report.per_photo {
        let [x, y] = map.point([photo.east_m, photo.north_m]);
        put!(
            out,
            "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\"><title>{}</title></circle>\n",
            Text(&photo.name)
        );
    }
    for photo in &report.photos.rejected {
        if let Some(place) = photo.east_m.zip(photo.north_m) {
            let [x, y] = map.point(place.into());
            put!(
                out,
                "<path class=\"cross\" d=\"M{:.1} {:.1}l8 8m0 -8l-8 8\"><title>{}: {}</title></path>\n",
                x - 4.0,
                y - 4.0,
                Text(&photo.name),
                Text(&photo.reason)
            );
        }
    }
}

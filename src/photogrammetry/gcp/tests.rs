//! Files as surveyors, spreadsheets and tools write them, and points that belong elsewhere.

use nalgebra::Vector3;

use super::{similarity::Similarity, *};

const LIST: &str = "WGS84 UTM 31N\n\
    665000.00 5745000.00 1.50 100.5 200.5 DJI_0001.JPG a\n\
    665000.00 5745000.00 1.50 300.0 210.0 DJI_0002.JPG a\n\
    665050.00 5745020.00 4.25 10.0 20.0 DJI_0002.JPG b check\n";

fn read(text: &str) -> Result<Vec<Gcp>> {
    parse(text, Path::new("points"), None)
}

fn fault(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn a_list_is_read_with_its_roles_and_marks() {
    let gcps = read(LIST).unwrap();
    assert_eq!(gcps.len(), 2);
    assert_eq!((gcps[0].marks.len(), gcps[0].role), (2, Role::Control));
    assert_eq!((gcps[1].name.as_str(), gcps[1].role), ("b", Role::Check));
    let [lon, lat] = gcps[0].lonlat().unwrap();
    assert!((lon - 5.4).abs() < 0.1 && (lat - 51.84).abs() < 0.1);
}

/// The points of [`LIST`], whatever the file they come from.
fn assert_same_points(gcps: &[Gcp], what: &str) {
    let expected = read(LIST).unwrap();
    assert_eq!(gcps.len(), 2, "{what}");
    for (gcp, expected) in gcps.iter().zip(&expected) {
        assert_eq!((&gcp.name, gcp.role, &gcp.marks), (&expected.name, expected.role, &expected.marks), "{what}");
        assert!((gcp.height_m - expected.height_m).abs() < 1e-9, "{what}");
        let (a, b) = (gcp.lonlat().unwrap(), expected.lonlat().unwrap());
        assert!((a[0] - b[0]).abs() < 1e-7 && (a[1] - b[1]).abs() < 1e-7, "{what}: {a:?} {b:?}");
    }
}

#[test]
fn tables_of_many_tools_are_the_same_points() {
    let tables = [
        (
            "commas, own order, a comment with the system",
            "# EPSG:32631\nphoto,column,row,name,role,x,y,z\n\
             DJI_0001.JPG,100.5,200.5,a,control,665000,5745000,1.5\n\
             DJI_0002.JPG,300,210,a,control,665000,5745000,1.5\n\
             DJI_0002.JPG,10,20,b,check,665050,5745020,4.25\n",
        ),
        (
            "semicolons and decimal commas, a column with the system",
            "Label;Easting [m];Northing [m];Elevation [m];imX;imY;Filename;Type;EPSG\r\n\
             a;665000,00;5745000,00;1,50;100,5;200,5;DJI_0001.JPG;GCP;32631\r\n\
             a;665000,00;5745000,00;1,50;300,0;210,0;DJI_0002.JPG;GCP;32631\r\n\
             b;665050,00;5745020,00;4,25;10,0;20,0;DJI_0002.JPG;check point;32631\r\n",
        ),
        (
            "tabs, quotes, and empty lines",
            "\"id\"\t\"E\"\t\"N\"\t\"H\"\t\"px\"\t\"py\"\t\"image\"\t\"role\"\t\"crs\"\n\n\
             \"a\"\t665000\t5745000\t1.5\t100.5\t200.5\t\"DJI_0001.JPG\"\t\tEPSG:32631\n\
             \"a\"\t665000\t5745000\t1.5\t300\t210\t\"DJI_0002.JPG\"\t\tEPSG:32631\n\
             \"b\"\t665050\t5745020\t4.25\t10\t20\t\"DJI_0002.JPG\"\tcheck\tEPSG:32631\n",
        ),
    ];
    for (what, table) in tables {
        assert_same_points(&read(table).unwrap(), what);
        let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(table.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_same_points(&read(&text_of(&wide)).unwrap(), &format!("{what}, in UTF-16"));
    }
    let bare = "name,lon,lat,height,photo,px,py\na,5.4,51.8,2,x.jpg,1,2\n";
    assert_eq!(read(bare).unwrap()[0].crs, Crs::WGS84, "columns of degrees name their system");
    let unnamed = "name,x,y,height,photo,px,py\na,665000,5745000,2,x.jpg,1,2\n";
    assert!(fault(unnamed).contains("--gcp-crs"), "{}", fault(unnamed));
    let given = parse(unnamed, Path::new("points"), Some(Crs::from_epsg(32631))).unwrap();
    assert_eq!(given[0].crs.epsg(), 32631);
}

#[test]
fn geojson_is_the_same_points_in_degrees_or_in_a_system_of_its_own() {
    let expected = read(LIST).unwrap();
    let collection = |crs: serde_json::Value, place: &dyn Fn(&Gcp) -> [f64; 2]| {
        let features: Vec<_> = expected
            .iter()
            .map(|gcp| {
                let [x, y] = place(gcp);
                let mark = |(photo, at): &(String, [f64; 2])| {
                    serde_json::json!({"photo": photo, "column": at[0], "row": at[1]})
                };
                let marks: Vec<_> = gcp.marks.iter().map(mark).collect();
                serde_json::json!({
                    "type": "Feature",
                    "geometry": {"type": "Point", "coordinates": [x, y, gcp.height_m]},
                    "properties": {"name": gcp.name, "role": gcp.role, "marks": marks},
                })
            })
            .collect();
        serde_json::json!({"type": "FeatureCollection", "crs": crs, "features": features}).to_string()
    };
    let degrees = collection(serde_json::Value::Null, &|gcp| gcp.lonlat().unwrap());
    assert_same_points(&read(&degrees).unwrap(), "degrees");
    let urn = serde_json::json!({"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32631"}});
    assert_same_points(&read(&collection(urn, &|gcp| gcp.xy)).unwrap(), "UTM");
    let broken = degrees.replacen("\"column\"", "\"kolom\"", 1);
    assert!(fault(&broken).contains("feature 1 (a): mark 1"), "{}", fault(&broken));
    let torn = &degrees[..degrees.len() / 2];
    assert!(fault(torn).contains("line 1") && fault(torn).contains("no JSON"), "{}", fault(torn));
}

#[test]
fn names_of_systems_are_read_as_many_tools_write_them() {
    for (header, epsg) in [
        ("EPSG:28992", 28_992),
        ("EPSG:28992+5709", 28_992),
        ("EPSG:7415", 28_992),
        ("WGS84 UTM 17S", 32_717),
        ("+proj=utm +zone=31 +ellps=WGS84 +datum=WGS84 +units=m +no_defs", 32_631),
        ("+init=epsg:4326", 4326),
        ("WGS84", 4326),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", 4326),
        ("urn:ogc:def:crs:EPSG::25832", 25_832),
    ] {
        assert_eq!(reference::crs_of(header).map(Crs::epsg), Some(epsg), "{header}");
    }
    assert!(reference::crs_of("665000 5745000 1.5 10 10 a.jpg").is_none());
}

#[test]
fn what_is_wrong_is_named_with_line_column_and_remedy() {
    for (text, parts) in [
        (LIST.replace("300.0", "three"), ["line 3: column 4", "three", "1234.56"]),
        (LIST.replace(" DJI_0001.JPG a", ""), ["line 2", "photo [name]", "5 fields"]),
        (LIST.replace("WGS84 UTM 31N\n", ""), ["line 1", "EPSG:28992", "GeoJSON"]),
        (
            LIST.replace("665050.00 5745020.00 4.25 10.0 20.0 DJI_0002.JPG b", "665050 5745020 4.25 1 2 x.jpg a"),
            ["line 4", "stands elsewhere in line 2", "name of its own"],
        ),
        ("name,x,y,z\na,1,2,3\n".to_owned(), ["line 1", "photo", "is a mark"]),
        ("name,x,y,z,photo,px,py,epsg\na,1,2,3,a.jpg,1,2,RD\n".to_owned(), ["line 2: column 8 (epsg)", "RD", "EPSG:"]),
        (
            "# EPSG:28992\nname,x,y,z,photo,px,py,role\na,1,2,3,a.jpg,1,2,spy\n".to_owned(),
            ["column 8 (role)", "spy", "check"],
        ),
        (
            "# EPSG:28992\nx;y;z;photo;px;py\n1.000,5;2;3;a.jpg;1;2\n".to_owned(),
            ["line 3: column 1 (x)", "1.000,5", "thousands"],
        ),
    ] {
        let error = fault(&text);
        assert!(parts.iter().all(|part| error.contains(part)), "{error} has not all of {parts:?}");
    }
    let unknown = fault(&LIST.replace("WGS84 UTM 31N", "EPSG:999"));
    assert!(unknown.contains("EPSG:999"), "{unknown}");
    let both = parse(LIST, Path::new("points"), Some(Crs::RD_NEW)).unwrap_err().to_string();
    assert!(both.contains("EPSG:32631") && both.contains("--gcp-crs says EPSG:28992"), "{both}");
}

#[test]
fn a_similarity_is_recovered() {
    let rotation = super::super::camera::rotation_exp(&Vector3::new(0.1, -0.2, 0.7));
    let points = [[0.0, 0.0, 0.0], [10.0, 0.0, 1.0], [0.0, 20.0, 2.0], [7.0, 9.0, 0.5]].map(Vector3::from);
    let shift = Vector3::new(3.0, -4.0, 5.0);
    let pairs: Vec<_> = points.iter().map(|p| (*p, 1.7 * rotation * p + shift)).collect();
    let found = Similarity::between(&pairs);
    assert!((found.scale - 1.7).abs() < 1e-9);
    assert!((found.apply(&points[3]) - pairs[3].1).norm() < 1e-9);
}

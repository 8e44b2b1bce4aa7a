//! Runs TorchScript models with libtorch, through `tch`.
//!
//! On a processor each forward pass uses one thread, and the caller runs several passes side by side. Chips are independent, so
//! nothing is lost, and OpenMP's teams of threads never form: on a machine with other work they wait for each
//! other by spinning, and a chip that needs 0.2 s took 26 s. Where libtorch finds CUDA it runs there, in batches.

use std::{cell::Cell, io::Cursor};

use tch::{CModule, Device, IValue, Kind, TchError, Tensor};

use polder::{
    detection::{
        Chip, Criteria, Detector, Error, ModelSpec, Outline, Prototypes, Result, Seen, Task, Tried, all_finite,
        count_constants, decode, decode_rotated, decode_weighted, read_spec, segment, suppress,
    },
    raster::Rgb8,
};

/// Chips in one call on a graphics card. On a processor a batch is no faster, and takes as much memory as it is long.
const CUDA_BATCH: usize = 16;

/// A model that was loaded, tried once and found to have the layout of a YOLOv8 detector.
pub struct TorchDetector {
    name: String,
    spec: ModelSpec,
    task: Task,
    device: Device,
    module: CModule,
    tried: Tried,
}

/// What the model gives for some chips, as numbers.
struct Output {
    /// `rows × cells` for each chip, row-major, one chip after the other.
    numbers: Vec<f32>,
    shape: Vec<i64>,
    /// `prototypes × height × width` for each chip, and these three sizes.
    prototypes: Option<(Vec<f32>, Vec<i64>)>,
}

impl TorchDetector {
    /// Loads the archive and runs the model on one grey chip, to see what it gives.
    ///
    /// # Errors
    /// Those of [`read_spec`]; [`Error::Torch`] when libtorch cannot load or run it; [`Error::Layout`] when its
    /// output is none of YOLOv8's, [`Error::NotANumber`] when it is no numbers.
    pub fn load(archive: &[u8], name: &str) -> Result<Self> {
        let mut spec = read_spec(archive, name)?;
        use_one_thread();
        let device = Device::cuda_if_available();
        let mut module =
            CModule::load_data_on_device(&mut Cursor::new(archive), device).map_err(fault("load", name))?;
        module.f_set_eval().map_err(fault("load", name))?;
        let [width, height] = spec.image_size;
        let grey = Rgb8 { width, height, data: vec![114; width * height * 3] };
        let task = spec.task.unwrap_or(Task::Detect);
        let mut detector =
            Self { name: name.to_owned(), spec: spec.clone(), task, device, module, tried: Tried::default() };
        let output = detector.forward(&[&grey])?;
        detector.task = match spec.task {
            Some(task) => task,
            None => detector.judge(&output),
        };
        detector.check_layout(&output)?;
        spec.task = Some(detector.task);
        detector.spec = spec;
        let (classes, cells) = (detector.spec.names.len(), output.shape[2] as usize);
        if output.numbers[4 * cells..(4 + classes) * cells].iter().any(|confidence| !(0.0..=1.0).contains(confidence)) {
            let found = "a tensor whose confidences leave [0, 1]; export it with the sigmoid inside";
            return Err(detector.wrong_layout(found));
        }
        detector.tried = Tried {
            output_shape: output.shape.clone(),
            parameters: detector.count_weights(archive)?,
            framework_version: Some(env!("LIBTORCH_VERSION").to_owned()).filter(|version| !version.is_empty()),
        };
        Ok(detector)
    }

    /// Counts the weights: parameters of the module, or the constants of one that was traced without gradients.
    fn count_weights(&self, archive: &[u8]) -> Result<Option<u64>> {
        let parameters = self.module.named_parameters().map_err(fault("read the weights of", &self.name))?;
        let count: u64 = parameters.iter().map(|(_, tensor)| tensor.numel() as u64).sum();
        let count = if count > 0 { count } else { count_constants(archive, &self.name)? };
        Ok(Some(count).filter(|count| *count > 0))
    }

    /// Runs the model on chips of one size.
    fn forward(&self, pictures: &[&Rgb8]) -> Result<Output> {
        let _guard = tch::no_grad_guard();
        let output = self.run(pictures).map_err(fault("run", &self.name))?;
        let (boxes, prototypes) = match &output {
            IValue::Tensor(boxes) => (boxes, None),
            IValue::Tuple(parts) => match parts.as_slice() {
                [IValue::Tensor(boxes), IValue::Tensor(prototypes)] => (boxes, Some(prototypes)),
                _ => return Err(self.wrong_layout(&describe(&output))),
            },
            _ => return Err(self.wrong_layout(&describe(&output))),
        };
        let read = |tensor: &Tensor| numbers(tensor).map_err(fault("read the output of", &self.name));
        let output = Output {
            numbers: read(boxes)?,
            shape: boxes.size(),
            prototypes: prototypes.map(|tensor| Ok::<_, Error>((read(tensor)?, tensor.size()))).transpose()?,
        };
        let batch = pictures.len() as i64;
        let is_whole = output.shape.len() == 3 && output.shape[0] == batch && output.shape[2] > 0;
        let fits = output.prototypes.as_ref().is_none_or(|(_, shape)| shape.len() == 4 && shape[0] == batch);
        if !is_whole || !fits {
            return Err(self.wrong_layout(&shapes(&output)));
        }
        let others = output.prototypes.as_ref().map_or(&[][..], |(numbers, _)| numbers);
        if !all_finite(&output.numbers) || !all_finite(others) {
            return Err(Error::NotANumber { model: self.name.clone() });
        }
        Ok(output)
    }

    fn run(&self, pictures: &[&Rgb8]) -> Result<IValue, TchError> {
        let [width, height] = pictures.first().map_or(self.spec.image_size, |picture| [picture.width, picture.height]);
        let bytes: Vec<u8> = pictures.iter().flat_map(|picture| picture.data.iter().copied()).collect();
        let size = [pictures.len() as i64, height as i64, width as i64, 3];
        let input = Tensor::f_from_data_size(&bytes, &size, Kind::Uint8)?
            .f_to_device(self.device)?
            // A view: the pixels stay interleaved ("channels last"), which is how libtorch's convolutions want them.
            .f_permute([0, 3, 1, 2])?
            .f_to_kind(Kind::Float)?
            .f_div_scalar_(255.0)?;
        self.module.forward_is(&[IValue::Tensor(input)])
    }

    /// Tells what a model does that does not say it, from the shape of its output.
    fn judge(&self, output: &Output) -> Task {
        let classes = self.spec.names.len() as i64;
        match &output.prototypes {
            Some(_) => Task::Segment,
            None if output.shape[1] == 5 + classes => Task::Rotated,
            None => Task::Detect,
        }
    }

    fn check_layout(&self, output: &Output) -> Result<()> {
        let (classes, rows) = (self.spec.names.len() as i64, output.shape[1]);
        let fits = match (self.task, &output.prototypes) {
            (Task::Detect, None) => rows == 4 + classes,
            (Task::Rotated, None) => rows == 5 + classes,
            (Task::Segment, Some((_, shape))) => shape[1] > 0 && rows == 4 + classes + shape[1],
            _ => false,
        };
        if fits { Ok(()) } else { Err(self.wrong_layout(&shapes(output))) }
    }

    fn wrong_layout(&self, found: &str) -> Error {
        let classes = self.spec.names.len();
        let expected = match self.task {
            Task::Detect => format!("[1, {}, N] (box centre, size and a confidence for each class)", 4 + classes),
            Task::Rotated => format!("[1, {}, N] (box centre, size, a confidence for each class, angle)", 5 + classes),
            Task::Segment => format!("a pair of [1, {}, N] and [1, 32, height, width]", 36 + classes),
        };
        let expected = format!(
            "a YOLOv8 model of the task {:?} with {classes} classes gives {expected}, boxes not yet thinned out (export \
             with nms=False, without an end-to-end head)",
            self.task.name()
        );
        Error::Layout { model: self.name.clone(), found: found.to_owned(), expected }
    }

    /// Reads what the model saw on one chip of several.
    fn seen(&self, output: &Output, chip: usize, size: [usize; 2], criteria: &Criteria) -> Vec<Seen> {
        let part = |shape: &[i64]| {
            let length = shape[1..].iter().product::<i64>() as usize;
            chip * length..(chip + 1) * length
        };
        let numbers = &output.numbers[part(&output.shape)];
        match (self.task, &output.prototypes) {
            (Task::Segment, Some((prototypes, shape))) => {
                let own = &prototypes[part(shape)];
                let own = Prototypes { numbers: own, size: [shape[3] as usize, shape[2] as usize] };
                segments(numbers, own, shape[1] as usize, size, criteria)
            }
            (Task::Rotated, _) => cut(suppress(decode_rotated(numbers, &criteria.confidence), criteria.iou), size),
            _ => cut(suppress(decode(numbers, &criteria.confidence), criteria.iou), size),
        }
    }
}

impl Detector for TorchDetector {
    fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    fn tried(&self) -> Tried {
        self.tried.clone()
    }

    fn detect(&self, chips: &[Chip], criteria: &Criteria) -> Result<Vec<Vec<Seen>>> {
        use_one_thread();
        let mut all = Vec::with_capacity(chips.len());
        for chips in chips.chunks(self.batch()) {
            let pictures: Vec<&Rgb8> = chips.iter().map(|chip| &chip.pixels).collect();
            let output = self.forward(&pictures)?;
            self.check_layout(&output)?;
            let size = |i: usize| [pictures[i].width, pictures[i].height];
            all.extend((0..chips.len()).map(|i| self.seen(&output, i, size(i), criteria)));
        }
        Ok(all)
    }

    fn batch(&self) -> usize {
        if self.device.is_cuda() { CUDA_BATCH } else { 1 }
    }
}

/// Thins out the boxes first: each that stays costs a picture of the size of the chip.
fn segments(
    numbers: &[f32],
    prototypes: Prototypes<'_>,
    count: usize,
    size: [usize; 2],
    criteria: &Criteria,
) -> Vec<Seen> {
    let mut weighted = decode_weighted(numbers, &criteria.confidence, count);
    let kept = suppress(weighted.iter().map(|(found, _)| *found).collect(), criteria.iou);
    let outlined = kept.into_iter().filter_map(|Seen { found, .. }| {
        let at = weighted.iter().position(|(other, _)| *other == found)?;
        let (_, weights) = weighted.swap_remove(at);
        let found = Seen::from(found).within(size)?.found;
        let corners = segment(&weights, prototypes, &found, size)?;
        Some(Seen { found, outline: Outline::Polygon(corners.into()) })
    });
    outlined.collect()
}

fn cut(seen: Vec<Seen>, size: [usize; 2]) -> Vec<Seen> {
    seen.into_iter().filter_map(|seen| seen.within(size)).collect()
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let mut numbers = vec![0.0_f32; tensor.numel()];
    tensor.f_copy_data(&mut numbers, tensor.numel())?;
    Ok(numbers)
}

/// Keeps libtorch from spreading one operation over threads, and from optimizing what is optimal; asked for in every thread, because OpenMP
/// remembers the number for each thread on its own.
pub fn use_one_thread() {
    thread_local!(static DONE: Cell<bool> = const { Cell::new(false) });
    if !DONE.replace(true) {
        tch::set_num_threads(1);
        // Watching shapes, to compile kernels for them, costs more than it gives: 0.048 s for a chip instead of 0.060.
        // Where it cannot be switched off the model runs all the same.
        let _ = tch::jit::f_set_graph_executor_optimize(false);
    }
}

/// Turns libtorch's complaint into one line: the interpreter puts the reason last, everything else first.
pub fn fault(operation: &'static str, model: &str) -> impl Fn(TchError) -> Error {
    let model = model.to_owned();
    move |error| {
        let text = match error {
            TchError::Torch(text) => text,
            other => other.to_string(),
        };
        let raised = text.lines().rfind(|line| line.contains("Error: "));
        let reason = raised.or_else(|| text.lines().next()).unwrap_or_default().trim().to_owned();
        Error::Torch { operation, model: model.clone(), reason }
    }
}

fn shapes(output: &Output) -> String {
    match &output.prototypes {
        None => format!("a tensor of the shape {:?}", output.shape),
        Some((_, prototypes)) => format!("a pair of the shapes {:?} and {prototypes:?}", output.shape),
    }
}

fn describe(value: &IValue) -> String {
    match value {
        IValue::Tuple(parts) => format!("a tuple of {} parts that are not two tensors", parts.len()),
        _ => "no tensor".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use polder::{
        detection::{DetectOptions, Truth, add_config, detect_raster, evaluate, grid, own_model},
        raster::{CogOptions, CogWriter, Raster},
        simulation::{CLASSES, Landscape, OrthoWindow, render_ortho},
        spatial::{Crs, GeoTransform},
    };
    use serde_json::{Value, json};

    use super::*;

    /// Traces a function of a picture and packs it as an exporter would.
    fn archive(config: &Value, run: impl Fn(&Tensor) -> Vec<Tensor>) -> Vec<u8> {
        let _guard = tch::no_grad_guard();
        let example = Tensor::zeros([1, 3, 64, 64], (Kind::Float, Device::Cpu));
        let module = CModule::create_by_tracing("M", "forward", &[example], &mut |inputs| run(&inputs[0])).unwrap();
        let folder = tempfile::tempdir().unwrap();
        module.save(folder.path().join("m.pt")).unwrap();
        add_config(std::fs::read(folder.path().join("m.pt")).unwrap(), config, "m").unwrap()
    }

    fn config() -> Value {
        json!({"names": {"0": "a", "1": "b"}, "imgsz": [64, 64], "task": "detect"})
    }

    /// A tensor of the shape that depends on the picture, as a real output does, but is always `value`.
    fn output(picture: &Tensor, shape: &[i64], value: f64) -> Tensor {
        let ones = Tensor::ones(shape, (Kind::Float, Device::Cpu));
        (picture.mean(Kind::Float) * 0.0 + value) * ones
    }

    fn criteria(classes: usize) -> Criteria {
        Criteria { confidence: vec![0.5; classes], iou: 0.5 }
    }

    fn one_chip() -> Chip {
        let place = grid([64, 64], [64, 64], 0.0).next().unwrap();
        Chip { place, pixels: Rgb8::new(64, 64) }
    }

    /// Every cell of the output is this one.
    fn always(config: &Value, cell: &[f32]) -> Vec<u8> {
        let rows = cell.len() as i64;
        // Made outside the trace, which would record only that there is memory, not what is in it.
        let cell = Tensor::from_slice(cell).view([1, rows, 1]);
        archive(config, |p| vec![output(p, &[1, rows, 84], 0.0) + &cell])
    }

    /// Has a module that returns one row of numbers return them as a pair of these shapes: tracing itself knows no pairs.
    fn in_two(archive: &[u8], boxes: [usize; 3], prototypes: [usize; 4]) -> Vec<u8> {
        let mut traced = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
        let mut paired = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for index in 0..traced.len() {
            let mut entry = traced.by_index(index).unwrap();
            let (name, mut bytes) = (entry.name().to_owned(), Vec::new());
            entry.read_to_end(&mut bytes).unwrap();
            if let Some((before, row)) = std::str::from_utf8(&bytes).ok().and_then(|code| code.rsplit_once("return ")) {
                let (split, row) = (boxes.iter().product::<usize>(), row.trim_end());
                let part =
                    |slice: &str, shape: &[usize]| format!("torch.view(torch.slice(row, 0, {slice}), {shape:?})");
                let pair = [part(&format!("0, {split}"), &boxes), part(&split.to_string(), &prototypes)].join(", ");
                let code = format!("{before}row = {row}\n    return ({pair})\n");
                bytes = code.replace("-> Tensor:", "-> Tuple[Tensor, Tensor]:").into_bytes();
            }
            paired.start_file(name, stored).unwrap();
            paired.write_all(&bytes).unwrap();
        }
        paired.finish().unwrap().into_inner()
    }

    fn refusal(archive: &[u8]) -> String {
        TorchDetector::load(archive, "m.torchscript").err().expect("it is refused").to_string()
    }

    #[test]
    fn another_output_layout_is_refused_with_its_shape() {
        let message = refusal(&archive(&config(), |p| vec![output(p, &[1, 300, 6], 0.5)]));
        assert!(message.contains("[1, 300, 6]") && message.contains("[1, 6, N]"), "{message}");
        let rotated = refusal(&archive(&config(), |p| vec![output(p, &[1, 7, 84], 0.5)]));
        assert!(rotated.contains("[1, 7, 84]"), "{rotated}");
        let mut of_80 = config();
        of_80["names"] = (0..80).map(|i| i.to_string()).collect();
        let other_classes = refusal(&archive(&of_80, |p| vec![output(p, &[1, 6, 84], 0.5)]));
        assert!(other_classes.contains("80 classes") && other_classes.contains("[1, 84, N]"), "{other_classes}");
    }

    #[test]
    fn numbers_that_are_none_are_refused_when_loading_and_when_searching() {
        let message = refusal(&always(&config(), &[30.0, 20.0, f32::NAN, 8.0, 0.2, 0.8]));
        assert!(message.contains("m.torchscript") && message.contains("NaN"), "{message}");
        // Fine on the grey chip that it is tried with, and NaN (0/0) on a black one.
        let cell = Tensor::from_slice(&[30.0_f32, 20.0, 10.0, 8.0, 0.2, 0.8]).view([1, 6, 1]);
        let sometimes = archive(&config(), |p| {
            let mean = p.mean(Kind::Float);
            vec![(&mean / &mean) * (output(p, &[1, 6, 84], 0.0) + &cell)]
        });
        let detector = TorchDetector::load(&sometimes, "m").unwrap();
        let error = detector.detect(&[one_chip()], &criteria(2)).unwrap_err();
        assert!(matches!(error, Error::NotANumber { .. }), "{error}");
    }

    #[test]
    fn a_model_without_a_task_is_judged_by_its_shape() {
        let mut config = config();
        config.as_object_mut().unwrap().remove("task");
        let detect = TorchDetector::load(&always(&config, &[30.0, 20.0, 10.0, 8.0, 0.2, 0.8]), "m").unwrap();
        assert_eq!(detect.spec().task, Some(Task::Detect));
        let turned = TorchDetector::load(&always(&config, &[30.0, 20.0, 10.0, 8.0, 0.2, 0.8, 0.3]), "m").unwrap();
        assert_eq!(turned.spec().task, Some(Task::Rotated));
        let seen = turned.detect(&[one_chip()], &criteria(2)).unwrap().remove(0);
        assert_eq!(seen.len(), 1);
        assert!((seen[0].area() - 80.0).abs() < 1e-4 && seen[0].found.area() > 100.0, "{seen:?}");
    }

    #[test]
    fn a_segment_comes_with_the_outline_of_its_mask() {
        let mut config = config();
        config.as_object_mut().unwrap().remove("task");
        // One prototype of two is 1 in the left half of the chip; the cell takes it alone.
        let cell = Tensor::from_slice(&[32.0_f32, 32.0, 40.0, 20.0, 0.2, 0.8, 1.0, 0.0]).view([1, 8, 1]);
        let mut halves = [[-1.0_f32; 256], [1.0; 256]];
        for (i, value) in halves[0].iter_mut().enumerate() {
            *value = if i % 16 < 8 { 1.0 } else { -1.0 };
        }
        let halves = Tensor::from_slice(halves.as_flattened()).view([1, 2, 16, 16]);
        let (boxes, masks) = ([1, 8, 84], [1, 2, 16, 16]);
        let one = archive(&config, |p| {
            let parts = [
                output(p, &boxes.map(|side| side as i64), 0.0) + &cell,
                output(p, &masks.map(|side| side as i64), 0.0) + &halves,
            ];
            vec![Tensor::cat(&parts.map(|part| part.flatten(0, -1)), 0)]
        });
        let detector = TorchDetector::load(&in_two(&one, boxes, masks), "m").unwrap();
        assert_eq!(detector.spec().task, Some(Task::Segment));
        let seen = detector.detect(&[one_chip()], &criteria(2)).unwrap().remove(0);
        assert_eq!(seen.len(), 1);
        let found = seen[0].found;
        assert_eq!([found.left, found.top, found.right, found.bottom], [12.0, 22.0, 52.0, 42.0]);
        // Wherever the outline begins.
        let mut corners = seen[0].corners();
        corners.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
        assert_eq!(corners, [[12.0, 22.0], [12.0, 42.0], [32.0, 22.0], [32.0, 42.0]]);
    }

    #[test]
    fn confidences_without_a_sigmoid_are_refused() {
        let message = refusal(&archive(&config(), |p| vec![output(p, &[1, 6, 84], -3.0)]));
        assert!(message.contains("leave [0, 1]"), "{message}");
    }

    #[test]
    fn a_picture_size_that_the_model_does_not_take_is_told_in_one_line() {
        let mut wrong = config();
        wrong["imgsz"] = json!([96, 96]);
        let fixed =
            archive(&wrong, |p| vec![(p + Tensor::ones([1, 3, 64, 64], (Kind::Float, Device::Cpu))).flatten(2, 3)]);
        let message = refusal(&fixed);
        assert!(message.starts_with("cannot run the model m.torchscript") && message.contains("96"), "{message}");
        assert_eq!(message.lines().count(), 1);
    }

    #[test]
    fn damaged_weights_are_an_error_not_a_crash() {
        let good = archive(&config(), |p| vec![output(p, &[1, 6, 84], 0.5)]);
        let at = good.windows(8).position(|w| w == b"code/__t").unwrap();
        let mut bad = good;
        for byte in &mut bad[at + 60..at + 140] {
            *byte ^= 0x5a;
        }
        assert!(refusal(&bad).starts_with("cannot "));
    }

    #[test]
    fn a_good_model_gives_its_boxes_with_duplicates_removed() {
        let module = always(&config(), &[30.0, 20.0, 10.0, 8.0, 0.2, 0.8]);
        let detector = TorchDetector::load(&module, "m").unwrap();
        let boxes = detector.detect(&[one_chip()], &criteria(2)).unwrap();
        assert_eq!(boxes[0].len(), 1);
        let found = boxes[0][0].found;
        assert_eq!(([found.left, found.top, found.right, found.bottom], found.class), ([25.0, 16.0, 35.0, 24.0], 1));
    }

    #[test]
    fn the_own_model_finds_what_is_planted_on_a_landscape_that_it_has_not_seen() {
        let side = 1700;
        let landscape = Landscape::new(4711, [65.0, 65.0]);
        let (picture, planted) = render_ortho(&landscape, &OrthoWindow::around([0.0, 0.0], [side; 2], 0.03));
        let whole = planted.into_iter().filter(|one| one.pixels.iter().all(|at| (0.0..side as f64).contains(at)));
        let truth: Vec<Truth> = whole.map(|one| Truth { class: one.class.to_owned(), pixel_box: one.pixels }).collect();
        assert!(truth.len() >= 8, "the landscape has {} objects", truth.len());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ortho.tif");
        let place = GeoTransform::north_up([155_000.0, 463_000.0], 0.03);
        let mut cog = CogWriter::create(&path, [side; 2], place, Crs::RD_NEW, CogOptions::default()).unwrap();
        cog.write_rgb([0, 0], [side; 2], &picture.data, &vec![255; side * side]).unwrap();
        cog.finish().unwrap();
        let own = own_model();
        let detector = TorchDetector::load(own.bytes, own.name).unwrap();
        let tried = detector.tried();
        let millions = tried.parameters.unwrap() as f64 / 1e6;
        assert!((millions - 0.4).abs() < 0.005, "the card says 0.40 million weights, the archive has {millions}");
        assert_eq!(tried.output_shape, [1, 6, 512 * 512 / 64 + 512 * 512 / 256]);
        let raster = Raster::open(&path).unwrap();
        let found = detect_raster(&raster, &detector, &DetectOptions::default(), &|_| {}).unwrap();
        // A class alone may have four objects here, so the shares are taken over both.
        let judged = CLASSES.map(|class| (class, evaluate(&[(found.clone(), truth.clone())], class, 0.7)));
        let right: f64 = judged.iter().map(|(_, e)| e.recall * e.objects as f64).sum();
        assert!(right >= 0.9 * truth.len() as f64, "{judged:?}");
        assert!(right >= 0.85 * found.len() as f64, "{judged:?}, {} found", found.len());
    }
}

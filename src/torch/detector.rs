//! Runs TorchScript models with libtorch, through `tch`.
//!
//! Each forward pass uses one thread, and the caller runs several passes side by side. Chips are independent, so
//! nothing is lost, and OpenMP's teams of threads never form: on a machine with other work they wait for each
//! other by spinning, and a chip that needs 0.2 s took 26 s.

use std::{cell::Cell, io::Cursor};

use tch::{CModule, IValue, Kind, TchError, Tensor};

use polder::{
    detection::{
        Chip, Detector, Error, ModelSpec, PixelBox, Result, Tried, count_constants, decode, read_spec, suppress,
    },
    raster::Rgb8,
};

/// IoU above which two boxes of a class on one chip are one thing.
const IOU: f64 = 0.5;

/// A model that was loaded, tried once and found to have the layout of a YOLOv8 detector.
pub struct TorchDetector {
    name: String,
    spec: ModelSpec,
    module: CModule,
    tried: Tried,
}

impl TorchDetector {
    /// Loads the archive and runs the model on one grey chip, to see what it gives.
    ///
    /// # Errors
    /// Those of [`read_spec`]; [`Error::Torch`] when libtorch cannot load or run it; [`Error::Layout`] when its
    /// output is not `[1, 4 + classes, n]` with confidences in [0, 1].
    pub fn load(archive: &[u8], name: &str) -> Result<Self> {
        let spec = read_spec(archive, name)?;
        use_one_thread();
        let mut module = CModule::load_data(&mut Cursor::new(archive)).map_err(fault("load", name))?;
        module.f_set_eval().map_err(fault("load", name))?;
        let mut detector = Self { name: name.to_owned(), spec, module, tried: Tried::default() };
        let [width, height] = detector.spec.image_size;
        let grey = Rgb8 { width, height, data: vec![114; width * height * 3] };
        let output = detector.forward(&grey)?;
        let n = output.len() / detector.rows();
        if output[4 * n..].iter().any(|confidence| !(0.0..=1.0).contains(confidence)) {
            return Err(
                detector.wrong_layout("a tensor whose confidences leave [0, 1]; export it with the sigmoid inside")
            );
        }
        detector.tried = Tried {
            output_shape: vec![1, detector.rows() as i64, n as i64],
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

    /// Returns the numbers of the output tensor, `rows × n`, row-major.
    fn forward(&self, picture: &Rgb8) -> Result<Vec<f32>> {
        let _guard = tch::no_grad_guard();
        let run = || {
            let size = [picture.height as i64, picture.width as i64, 3];
            let input = Tensor::f_from_data_size(&picture.data, &size, Kind::Uint8)?
                .f_permute([2, 0, 1])?
                .f_to_kind(Kind::Float)?
                .f_div_scalar(255.0)?
                .f_unsqueeze(0)?
                .f_contiguous()?;
            self.module.forward_is(&[IValue::Tensor(input)])
        };
        let output = run().map_err(fault("run", &self.name))?;
        let IValue::Tensor(output) = output else { return Err(self.wrong_layout(&describe(&output))) };
        match output.size().as_slice() {
            [1, rows, n] if *rows == self.rows() as i64 && *n > 0 => {}
            shape => return Err(self.wrong_layout(&format!("a tensor of the shape {shape:?}"))),
        }
        let copy = || {
            let output = output.f_to_kind(Kind::Float)?.f_contiguous()?;
            let mut numbers = vec![0.0_f32; output.numel()];
            output.f_copy_data(&mut numbers, output.numel())?;
            Ok(numbers)
        };
        copy().map_err(fault("read the output of", &self.name))
    }

    fn rows(&self) -> usize {
        4 + self.spec.names.len()
    }

    fn wrong_layout(&self, found: &str) -> Error {
        Error::Layout { model: self.name.clone(), found: found.to_owned(), classes: self.spec.names.len() }
    }
}

impl Detector for TorchDetector {
    fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    fn tried(&self) -> Tried {
        self.tried.clone()
    }

    fn detect(&self, chips: &[Chip], confidence: f64) -> Result<Vec<Vec<PixelBox>>> {
        use_one_thread();
        // One at a time: on a CPU a batch is no faster, and takes as much memory as it is long.
        let boxes = |chip: &Chip| -> Result<_> {
            let output = self.forward(&chip.pixels)?;
            let size = [chip.pixels.width, chip.pixels.height];
            Ok(suppress(decode(&output, self.spec.names.len(), size, confidence), IOU))
        };
        chips.iter().map(boxes).collect()
    }
}

/// Keeps libtorch from spreading one operation over threads; asked for in every thread, because OpenMP
/// remembers the number for each thread on its own.
pub fn use_one_thread() {
    thread_local!(static DONE: Cell<bool> = const { Cell::new(false) });
    if !DONE.replace(true) {
        tch::set_num_threads(1);
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

fn describe(value: &IValue) -> String {
    match value {
        IValue::Tuple(parts) => {
            let shapes: Vec<_> = parts
                .iter()
                .map(
                    |part| {
                        if let IValue::Tensor(t) = part { format!("{:?}", t.size()) } else { "no tensor".to_owned() }
                    },
                )
                .collect();
            format!("a tuple of the shapes {}", shapes.join(" and "))
        }
        _ => "no tensor".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use polder::{
        detection::{DetectOptions, Truth, add_config, detect_raster, evaluate, grid, own_model},
        raster::{CogOptions, CogWriter, Raster},
        simulation::{CLASSES, Landscape, OrthoWindow, render_ortho},
        spatial::{Crs, GeoTransform},
    };
    use serde_json::{Value, json};
    use tch::Device;

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

    fn refusal(archive: &[u8]) -> String {
        TorchDetector::load(archive, "m.torchscript").err().expect("it is refused").to_string()
    }

    #[test]
    fn another_output_layout_is_refused_with_its_shape() {
        let message = refusal(&archive(&config(), |p| vec![output(p, &[1, 300, 6], 0.5)]));
        assert!(message.contains("[1, 300, 6]") && message.contains("[1, 6, N]"), "{message}");
        let rotated = refusal(&archive(&config(), |p| vec![output(p, &[1, 7, 84], 0.5)]));
        assert!(rotated.contains("[1, 7, 84]"), "{rotated}");
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
        // Made outside the trace, which would record only that there is memory, not what is in it.
        let cell = Tensor::from_slice(&[30.0_f32, 20.0, 10.0, 8.0, 0.2, 0.8]).view([1, 6, 1]);
        let module = archive(&config(), |p| vec![output(p, &[1, 6, 84], 0.0) + &cell]);
        let detector = TorchDetector::load(&module, "m").unwrap();
        let place = grid([64, 64], [64, 64], 0.0).next().unwrap();
        let chip = Chip { place, pixels: Rgb8::new(64, 64) };
        let boxes = detector.detect(&[chip], 0.5).unwrap();
        assert_eq!(boxes[0].len(), 1);
        let found = boxes[0][0];
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
        assert!((millions - 0.43).abs() < 0.01, "the card says 0.43 million weights, the archive has {millions}");
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

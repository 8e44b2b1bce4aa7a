//! Turns the trained network into a file that any TorchScript runtime runs.

use polder::detection::{Result, add_config, training::Options};
use serde_json::Value;
use tch::{CModule, Device, Kind, Tensor};

use super::network::Network;
use crate::detector;

/// Traces the network and returns the archive with its description.
///
/// # Errors
/// [`Error::Torch`](polder::detection::Error::Torch) when libtorch cannot trace or save it,
/// [`Error::Write`](polder::detection::Error::Write) when there is no temporary folder to save it in.
pub(super) fn export(network: &Network, options: &Options, description: &Value) -> Result<Vec<u8>> {
    let fault = |operation| detector::fault(operation, &options.name);
    // With gradients on, the trace would hold on to variables; without, weights become constants of the program.
    let _guard = tch::no_grad_guard();
    let network = network.fused();
    let side = options.image_size as i64;
    let example = Tensor::zeros([1, 3, side, side], (Kind::Float, Device::Cpu));
    let mut run = |inputs: &[Tensor]| {
        let output = network.forward(&inputs[0], false);
        vec![Tensor::cat(&[output.narrow(1, 0, 4), output.slice(1, 4, None, 1).sigmoid()], 1)]
    };
    let module = CModule::create_by_tracing("Detector", "forward", &[example], &mut run).map_err(fault("trace"))?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.torchscript");
    module.save(&path).map_err(fault("save"))?;
    add_config(std::fs::read(path)?, description, &options.name)
}

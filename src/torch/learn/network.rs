//! The network: a backbone of plain and residual convolutions, and a head at strides 8 and 16.
//!
//! About 0.43 million weights. Sizes follow from tensors alone, never from numbers, so that a trace of it takes
//! any picture whose sides are multiples of the stride.

use tch::{Kind, Tensor, nn, nn::Module as _, nn::ModuleT as _};

/// Coarsest cell of the network, in pixels.
pub(super) const STRIDE: usize = 16;
/// The cells of both heads.
pub(super) const STRIDES: [usize; 2] = [8, 16];

/// Confidence of every cell before training: objects are rare, and one that starts at ½ would spend the first
/// steps on nothing but unlearning the background (Lin et al., "Focal loss for dense object detection", 2017).
const PRIOR: f64 = 0.01;

#[derive(Debug)]
pub(super) struct Network {
    stem: [Conv; 2],
    fine: Residual,
    to_8: Conv,
    at_8: Residual,
    to_16: Conv,
    at_16: [Residual; 2],
    /// Brings what stride 16 saw back to stride 8.
    lateral: Conv,
    join: Conv,
    heads: [Head; 2],
}

impl Network {
    pub(super) fn new(vs: &nn::Path, classes: usize) -> Self {
        Self {
            stem: [Conv::new(&(vs / "stem0"), [3, 16], 3, 2), Conv::new(&(vs / "stem1"), [16, 32], 3, 2)],
            fine: Residual::new(&(vs / "fine"), 32),
            to_8: Conv::new(&(vs / "to_8"), [32, 64], 3, 2),
            at_8: Residual::new(&(vs / "at_8"), 64),
            to_16: Conv::new(&(vs / "to_16"), [64, 96], 3, 2),
            at_16: [Residual::new(&(vs / "at_16_0"), 96), Residual::new(&(vs / "at_16_1"), 96)],
            lateral: Conv::new(&(vs / "lateral"), [96, 64], 1, 1),
            join: Conv::new(&(vs / "join"), [128, 64], 1, 1),
            heads: [Head::new(&(vs / "head_8"), 64, classes), Head::new(&(vs / "head_16"), 96, classes)],
        }
    }

    /// Returns `[batch, 4 + classes, cells]`: centre, width and height in pixels, then one logit for each class.
    ///
    /// Cells of stride 8 come first, row by row. `picture` is `[batch, 3, height, width]`, 0-1.
    pub(super) fn forward(&self, picture: &Tensor, train: bool) -> Tensor {
        let x = self.stem.iter().fold(picture.shallow_clone(), |x, conv| conv.forward(&x, train));
        let x = self.to_8.forward(&self.fine.forward(&x, train), train);
        let at_8 = self.at_8.forward(&x, train);
        let x = self.to_16.forward(&at_8, train);
        let at_16 = self.at_16.iter().fold(x, |x, block| block.forward(&x, train));
        let raised = self.lateral.forward(&at_16, train).upsample_nearest2d_vec(None::<i64>, [2.0, 2.0]);
        let at_8 = self.join.forward(&Tensor::cat(&[at_8, raised], 1), train);
        let cells: Vec<_> = [at_8, at_16]
            .iter()
            .zip(&self.heads)
            .zip(STRIDES)
            .map(|((features, head), stride)| boxes(&head.forward(features, train), stride as f64))
            .collect();
        Tensor::cat(&cells, 2)
    }

    /// Returns the network as it is run: normalisation folded into the convolutions before it.
    pub(super) fn fused(&self) -> Self {
        Self {
            stem: self.stem.each_ref().map(Conv::fused),
            fine: self.fine.fused(),
            to_8: self.to_8.fused(),
            at_8: self.at_8.fused(),
            to_16: self.to_16.fused(),
            at_16: self.at_16.each_ref().map(Residual::fused),
            lateral: self.lateral.fused(),
            join: self.join.fused(),
            heads: self.heads.each_ref().map(Head::fused),
        }
    }
}

/// Turns distances from the middle of each cell to the four sides of its box into the layout of YOLOv8.
fn boxes(features: &Tensor, stride: f64) -> Tensor {
    let ones = features.narrow(1, 0, 1).ones_like();
    let x = (ones.cumsum(3, Kind::Float) - 0.5) * stride;
    let y = (ones.cumsum(2, Kind::Float) - 0.5) * stride;
    let side = |i: i64| features.narrow(1, i, 1).softplus() * stride;
    let [left, top, right, bottom] = [side(0), side(1), side(2), side(3)];
    let (across, down) = ((&right - &left) * 0.5, (&bottom - &top) * 0.5);
    let logits = features.slice(1, 4, None, 1);
    Tensor::cat(&[x + across, y + down, left + right, top + bottom, logits], 1).flatten(2, 3)
}

/// Convolution, normalisation, SiLU.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a network has seventeen of them")]
enum Conv {
    Training { conv: nn::Conv2D, norm: nn::BatchNorm, stride: i64 },
    Fused { weight: Tensor, bias: Tensor, stride: i64 },
}

impl Conv {
    fn new(vs: &nn::Path, [from, to]: [i64; 2], side: i64, stride: i64) -> Self {
        let config = nn::ConvConfig { stride, padding: side / 2, bias: false, ..Default::default() };
        let ones = nn::BatchNormConfig { ws_init: nn::Init::Const(1.0), momentum: 0.05, ..Default::default() };
        let conv = nn::conv2d(vs / "conv", from, to, side, config);
        Self::Training { conv, norm: nn::batch_norm2d(vs / "norm", to, ones), stride }
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        match self {
            Self::Training { conv, norm, .. } => norm.forward_t(&conv.forward(x), train).silu(),
            Self::Fused { weight, bias, stride } => {
                let padding = weight.size()[2] / 2;
                x.conv2d(weight, Some(bias), [*stride; 2], [padding; 2], [1, 1], 1).silu()
            }
        }
    }

    fn fused(&self) -> Self {
        match self {
            Self::Training { conv, norm, stride } => {
                let (gamma, beta) = (norm.ws.as_ref(), norm.bs.as_ref());
                let (gamma, beta) = gamma.zip(beta).expect("the normalisation was made with scale and shift");
                let scale = gamma / (&norm.running_var + 1e-5).sqrt();
                let weight = &conv.ws * scale.view([-1, 1, 1, 1]);
                Self::Fused { weight, bias: beta - &norm.running_mean * scale, stride: *stride }
            }
            Self::Fused { weight, bias, stride } => {
                Self::Fused { weight: weight.shallow_clone(), bias: bias.shallow_clone(), stride: *stride }
            }
        }
    }
}

/// Adds to its input what two convolutions make of it.
#[derive(Debug)]
struct Residual([Conv; 2]);

impl Residual {
    fn new(vs: &nn::Path, width: i64) -> Self {
        let half = width / 2;
        Self([Conv::new(&(vs / "in"), [width, half], 3, 1), Conv::new(&(vs / "out"), [half, width], 3, 1)])
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        x + self.0[1].forward(&self.0[0].forward(x, train), train)
    }

    fn fused(&self) -> Self {
        Self(self.0.each_ref().map(Conv::fused))
    }
}

/// One convolution, then for each cell four distances and a logit for each class.
#[derive(Debug)]
struct Head {
    conv: Conv,
    out: [Tensor; 2],
}

impl Head {
    fn new(vs: &nn::Path, width: i64, classes: usize) -> Self {
        let rows = 4 + classes as i64;
        let weight = vs.var("weight", &[rows, 64, 1, 1], nn::Init::Randn { mean: 0.0, stdev: 0.01 });
        let bias = vs.var("bias", &[rows], nn::Init::Const(1.5));
        tch::no_grad(|| {
            let _ = bias.narrow(0, 4, classes as i64).fill_((PRIOR / (1.0 - PRIOR)).ln());
        });
        Self { conv: Conv::new(&(vs / "conv"), [width, 64], 3, 1), out: [weight, bias] }
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let [weight, bias] = &self.out;
        self.conv.forward(x, train).conv2d(weight, Some(bias), [1, 1], [0, 0], [1, 1], 1)
    }

    fn fused(&self) -> Self {
        Self { conv: self.conv.fused(), out: self.out.each_ref().map(Tensor::detach) }
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn the_network_is_small_and_gives_a_cell_for_each_stride() {
        let variables = nn::VarStore::new(Device::Cpu);
        let network = Network::new(&variables.root(), 2);
        let weights: usize = variables.trainable_variables().iter().map(Tensor::numel).sum();
        assert!((300_000..450_000).contains(&weights), "{weights}");
        let output = network.forward(&Tensor::zeros([1, 3, 64, 96], (Kind::Float, Device::Cpu)), false);
        assert_eq!(output.size(), [1, 6, 8 * 12 + 4 * 6]);
    }

    #[test]
    fn folding_the_normalisation_changes_nothing() {
        let variables = nn::VarStore::new(Device::Cpu);
        let network = Network::new(&variables.root(), 1);
        let picture = Tensor::rand([2, 3, 64, 64], (Kind::Float, Device::Cpu));
        let _ = network.forward(&picture, true);
        let (plain, fused) = (network.forward(&picture, false), network.fused().forward(&picture, false));
        assert!((plain - fused).abs().max().double_value(&[]) < 1e-3);
    }
}

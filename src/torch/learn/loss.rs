//! How wrong the network is: about what is there, and about where it is.

use tch::{Kind, Reduction, Tensor};

use super::assign::Targets;

/// Weight of "where" against "what". The two then fall at about the same rate.
const WHERE: f64 = 4.0;

/// Returns the loss of a batch, a number that gradients flow through.
///
/// `output` is the network's: `[batch, 4 + classes, cells]`. "What" is the cross-entropy over all cells and
/// classes, "where" one minus the generalised IoU (Rezatofighi et al., 2019, equation 2) over the cells that
/// have a box; both are divided by the number of those cells.
pub(super) fn loss(output: &Tensor, targets: &Targets) -> Tensor {
    let found = targets.cells.len();
    let logits = output.slice(1, 4, None, 1).transpose(1, 2).contiguous();
    let classes = logits.size()[2];
    let logits = logits.view([-1, classes]);
    let wanted = logits.zeros_like();
    let cells = Tensor::from_slice(&targets.cells);
    if found > 0 {
        let hot = Tensor::from_slice(&targets.classes).one_hot(classes).to_kind(Kind::Float);
        let _ = wanted.shallow_clone().index_copy_(0, &cells, &hot);
    }
    let what = logits.binary_cross_entropy_with_logits::<Tensor>(&wanted, None, None, Reduction::Sum);
    if found == 0 {
        return what;
    }
    let seen = output.narrow(1, 0, 4).transpose(1, 2).contiguous().view([-1, 4]).index_select(0, &cells);
    let boxes = Tensor::from_slice(&targets.boxes).view([-1, 4]);
    let place: Tensor = 1.0 - generalised_iou(&seen, &boxes);
    (what + place.sum(Kind::Float) * WHERE) / found as f64
}

/// Returns the generalised IoU of boxes given as centre, width and height, pairwise: `n × 4` to `n`.
fn generalised_iou(a: &Tensor, b: &Tensor) -> Tensor {
    let corners = |boxes: &Tensor| {
        let (centre, half) = (boxes.narrow(1, 0, 2), boxes.narrow(1, 2, 2) * 0.5);
        (&centre - &half, centre + half)
    };
    let ((a0, a1), (b0, b1)) = (corners(a), corners(b));
    let area = |size: &Tensor| size.select(1, 0) * size.select(1, 1);
    let shared = area(&(a1.minimum(&b1) - a0.maximum(&b0)).clamp_min(0.0));
    let hull = area(&(a1.maximum(&b1) - a0.minimum(&b0)));
    let union = area(&(a1 - a0)) + area(&(b1 - b0)) - &shared;
    &shared / (&union + 1e-6) - (&hull - &union) / (&hull + 1e-6)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn boxes_apart_are_worse_than_boxes_that_touch() {
        let boxes = |x: f32| Tensor::from_slice(&[x, 0.0, 2.0, 2.0]).view([1, 4]);
        let giou = |x: f32| generalised_iou(&boxes(0.0), &boxes(x)).double_value(&[0]);
        assert!((giou(0.0) - 1.0).abs() < 1e-4);
        assert!((giou(1.0) - 1.0 / 3.0).abs() < 1e-4);
        assert!(giou(8.0) < giou(3.0) && giou(3.0) < 0.0);
    }

    #[test]
    fn the_right_answer_costs_little() {
        let targets = Targets { cells: vec![1], classes: vec![0], boxes: vec![12.0, 4.0, 6.0, 6.0] };
        let output = |logit: f32, x: f32| {
            // Rows of cx, cy, w, h, logit, for two cells.
            let rows = [[4.0, x], [4.0, 4.0], [6.0, 6.0], [6.0, 6.0], [-9.0, logit]];
            Tensor::from_slice(&rows.concat()).view([1, 5, 2]).to_device(Device::Cpu)
        };
        let cost = |logit, x| loss(&output(logit, x), &targets).double_value(&[]);
        assert!(cost(9.0, 12.0) < 0.01);
        assert!(cost(-9.0, 12.0) > 5.0 && cost(9.0, 16.0) > 0.5);
    }
}

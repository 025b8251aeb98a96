//! How a mixture of experts chooses.

/// How the experts of a token are chosen from the logits of its router: by their sigmoid, plus a bias, in groups
/// (DeepSeek-V3, 2024).
///
/// Where there are several groups of experts, a group's score is the sum of its two best; experts of the best groups are
/// chosen. An expert's weight is its score without the bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Routing {
    /// Experts that a token uses.
    pub n_used: usize,
    /// Groups that the experts are in, one behind the other.
    pub n_groups: usize,
    /// Groups that a token's experts are of.
    pub n_used_groups: usize,
    /// Whether the weights of a token's experts are made to sum to 1.
    pub normalize: bool,
    /// What the weights are multiplied with in the end.
    pub scale: f32,
}

impl Routing {
    /// Chooses for one token: `logits` and `bias` are `[n_experts]`, `out` is `[2 * n_used]`: the experts' numbers, the
    /// best first, and their weights. Of experts with the same score, the first is chosen.
    ///
    /// # Panics
    /// If `out` is shorter, or `logits` are not whole groups.
    pub fn choose(&self, logits: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
        let &Routing { n_used, n_groups, n_used_groups, normalize, scale } = self;
        let scores: Vec<f32> = logits.iter().map(|&x| 1.0 / (1.0 + (-x).exp())).collect();
        let mut left: Vec<f32> = match bias {
            Some(bias) => scores.iter().zip(bias).map(|(score, bias)| score + bias).collect(),
            None => scores.clone(),
        };
        if n_used_groups < n_groups {
            leave_groups(&mut left, n_groups, n_used_groups);
        }
        let (experts, weights) = out.split_at_mut(n_used);
        for (expert, weight) in experts.iter_mut().zip(&mut *weights) {
            let best = take_best(&mut left);
            (*expert, *weight) = (best as f32, scores[best]);
        }
        let factor = if normalize { scale / (weights.iter().sum::<f32>() + SMALLEST_SUM) } else { scale };
        weights.iter_mut().for_each(|weight| *weight *= factor);
    }
}

/// Keeps a division from going wrong where all scores are 0.
const SMALLEST_SUM: f32 = 1e-20;

/// Takes the experts of all but the best groups out of the choice.
fn leave_groups(scores: &mut [f32], n_groups: usize, n_used: usize) {
    let len = scores.len() / n_groups;
    let mut of_groups: Vec<f32> = scores.chunks_exact(len).map(sum_of_best_two).collect();
    let used: Vec<usize> = (0..n_used).map(|_| take_best(&mut of_groups)).collect();
    for (group, scores) in scores.chunks_exact_mut(len).enumerate() {
        if !used.contains(&group) {
            scores.fill(f32::NEG_INFINITY);
        }
    }
}

fn sum_of_best_two(scores: &[f32]) -> f32 {
    let (mut best, mut second) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
    for &score in scores {
        if score > best {
            (best, second) = (score, best);
        } else {
            second = second.max(score);
        }
    }
    best + second
}

/// Where the first of the highest scores is; it will not be found again.
fn take_best(scores: &mut [f32]) -> usize {
    let mut best = 0;
    for (i, &score) in scores.iter().enumerate() {
        if score > scores[best] {
            best = i;
        }
    }
    scores[best] = f32::NEG_INFINITY;
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_GROUP: Routing = Routing { n_used: 2, n_groups: 1, n_used_groups: 1, normalize: true, scale: 2.5 };

    fn chosen(routing: &Routing, logits: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let mut out = vec![f32::NAN; 2 * routing.n_used];
        routing.choose(logits, bias, &mut out);
        out
    }

    #[test]
    fn the_best_are_chosen_and_weigh_what_their_scores_say() {
        let found = chosen(&ONE_GROUP, &[0.0, 1.0, -1.0, 2.0], None);
        let [of_2, of_1] = [2.0f32, 1.0].map(|x| 1.0 / (1.0 + (-x).exp()));
        assert_eq!(found[..2], [3.0, 1.0]);
        assert!((found[2] - 2.5 * of_2 / (of_1 + of_2)).abs() < 1e-6 && (found[2] + found[3] - 2.5).abs() < 1e-6);
        let raw = chosen(&Routing { normalize: false, scale: 1.0, ..ONE_GROUP }, &[0.0, 1.0, -1.0, 2.0], None);
        assert_eq!(raw, [3.0, 1.0, of_2, of_1]);
    }

    #[test]
    fn a_bias_chooses_but_does_not_weigh() {
        let routing = Routing { normalize: false, scale: 1.0, ..ONE_GROUP };
        let found = chosen(&routing, &[0.0, 0.0, 0.0, 0.0], Some(&[0.0, -1.0, 0.5, 0.1]));
        assert_eq!(found, [2.0, 3.0, 0.5, 0.5]);
    }

    #[test]
    fn experts_are_of_the_best_groups() {
        let routing = Routing { n_groups: 2, ..ONE_GROUP };
        // The best expert is in a group whose second is poor.
        assert_eq!(chosen(&routing, &[3.0, -9.0, -9.0, 2.0, 1.9, -9.0], None)[..2], [3.0, 4.0]);
    }

    #[test]
    fn equals_are_taken_in_their_order_and_each_once() {
        assert_eq!(chosen(&ONE_GROUP, &[1.0; 5], None)[..2], [0.0, 1.0]);
        let nothing = chosen(&ONE_GROUP, &[f32::NEG_INFINITY; 3], None);
        assert!(nothing[2..].iter().all(|weight| weight.is_finite()));
    }
}

const SQRT_2_OVER_PI: f32 = 0.7978846;

// Beyond 15 the hyperbolic tangent is 1 in float32, and some drivers compute it from an exponential that overflows.
fn activation(x: f32) -> f32 {
    return 0.5 * x * (1.0 + tanh(clamp(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x), -15.0, 15.0)));
}

// Taking the best of what the threads of a workgroup hold, again and again.
//
// A logit is compared by its key: the bits of the float, changed so that they order as unsigned integers. Of equal logits
// the token that comes first is better.

const THREADS: u32 = 256u;
const EACH: u32 = 16u; // what a thread holds

const NOTHING: u32 = 0u;       // the key of what is not there, or was taken
const BROKEN: u32 = 0xffffffffu; // of NaN and of infinity: better than everything, so that it is found

struct Held {
    keys: array<u32, EACH>,
    tokens: array<u32, EACH>,
}

var<workgroup> best_keys: array<u32, THREADS>;
var<workgroup> best_tokens: array<u32, THREADS>;

fn key_of(logit: f32) -> u32 {
    let bits = bitcast<u32>(logit);
    let magnitude = bits & 0x7fffffffu;
    if magnitude > 0x7f800000u || bits == 0x7f800000u {
        return BROKEN;
    }
    if magnitude == 0u {
        return 0x80000000u; // both zeros
    }
    return select(bits | 0x80000000u, ~bits, bits != magnitude);
}

fn logit_of(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7fffffffu, key >= 0x80000000u));
}

// The best of all threads, as key and token, for all of them; it is held no more.
fn take_best(lane: u32, held: ptr<function, Held>) -> vec2<u32> {
    var key = NOTHING;
    var token = 0xffffffffu;
    for (var i = 0u; i < EACH; i++) {
        if is_better((*held).keys[i], (*held).tokens[i], key, token) {
            key = (*held).keys[i];
            token = (*held).tokens[i];
        }
    }
    best_keys[lane] = key;
    best_tokens[lane] = token;
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            let other = lane + half;
            if is_better(best_keys[other], best_tokens[other], best_keys[lane], best_tokens[lane]) {
                best_keys[lane] = best_keys[other];
                best_tokens[lane] = best_tokens[other];
            }
        }
    }
    workgroupBarrier();
    let best = vec2(best_keys[0], best_tokens[0]);
    workgroupBarrier();
    for (var i = 0u; i < EACH; i++) {
        if (*held).tokens[i] == best.y {
            (*held).keys[i] = NOTHING;
        }
    }
    return best;
}

fn is_better(key: u32, token: u32, than_key: u32, than_token: u32) -> bool {
    return key > than_key || (key == than_key && token < than_token);
}

//! stub
use semcast_models::training::paper::*;
use semcast_models::vscc::{losses::Method, network::*};
use burn::tensor::Device;
fn main() {
    let device = Device::flex().autodiff();
    device.seed(1);
    let dir = std::env::args().nth(1).unwrap();
    let div: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let pictures: Vec<_> = std::fs::read_dir(dir).unwrap().filter_map(|e| {
        let p = e.ok()?.path();
        semcast_common::content::file::decode_picture(&std::fs::read(p).ok()?).ok() }).take(40).collect();
    let network = PaperNetwork::new(Scale::new(div).unwrap(), &device);
    let t = std::time::Instant::now();
    let s = Stretch { method: Method::Vscc { d: 1.0 }, snr_db: (-5.0, 15.0), steps: std::env::args().nth(3).unwrap().parse().unwrap(), batch: 8, crop: 64, learning_rate: 2e-3, seed: 1 };
    fit(network, &pictures, &s, &device, &mut |at, db| println!("{at} {db:.2} {:?}", t.elapsed()));
}

//! Scratch.
use std::time::Instant;
use oculist_jpeg::*;
fn main() {
    let files: Vec<Vec<u8>> = std::env::args().skip(1).map(|p| std::fs::read(p).unwrap()).collect();
    for isa in oculist_kernels::Isa::available() {
    for (name, request) in [("whole", Request::whole()), ("part", Request::whole().of(Region{x:130,y:90,width:240,height:200})), ("corner", Request::whole().of(Region{x:499,y:374,width:1,height:1})), ("half", Request::whole().reduced(2))] {
        let request = Request { isa, ..request };
        let mut best = f64::MAX;
        for _ in 0..30 {
            let t = Instant::now();
            for f in &files { std::hint::black_box(Header::parse(f).unwrap().decode(&request).unwrap()); }
            best = best.min(t.elapsed().as_secs_f64() / files.len() as f64);
        }
        println!("{isa} {name}: {:.1} us", best * 1e6);
    }}
}

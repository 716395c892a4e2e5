//! The baseline: trained here, or the model that was given.

use std::time::Instant;

use oculist_zoo::BuildOptions;

use super::state::Run;
use crate::compress::candidate::Candidate;
use crate::error::OculistError;
use crate::evaluate::evaluate_until;
use crate::progress::Watch;
use crate::run_folder::BASELINE_FILE;
use crate::summary::{bytes_text, count_text, counted, curve};
use crate::training::Phase;
use crate::training_data::TrainingImages;

/// Trains the baseline or takes the given model; evaluates it on validation images.
pub(crate) fn obtain(run: &mut Run, watch: &mut Watch<'_>) -> Result<Candidate, OculistError> {
    let began = Instant::now();
    let (graph, what) = if let Some(model) = &run.given {
        let graph = model.graph.clone();
        run.stage("Take the given model as the baseline", watch);
        (graph, format!("{} as given", run.recipe.arch))
    } else {
        let title = format!("Train the baseline: {}", run.recipe.network());
        run.stage(&title, watch);
        train(run, watch)?
    };
    let cost = run.cost(&graph, watch.stop)?;
    let val_top1 = evaluate_until(&graph, &run.val, &run.ctx, watch.stop)
        .map_err(|e| match &run.given_path {
            Some(path) => e.of_model(path),
            None => e,
        })?
        .top1;
    let baseline = Candidate {
        name: "baseline".into(),
        kind: "baseline",
        keep: None,
        graph,
        val_top1,
        cost,
        accepted: true,
        reason: "the reference".into(),
    };
    run.model(baseline.graph.clone()).write(&run.folder.file(BASELINE_FILE))?;
    run.step("baseline", what, began, None, Some(&baseline), watch);
    Ok(baseline)
}

fn train(run: &mut Run, watch: &mut Watch<'_>) -> Result<(oculist_graph::Graph, String), OculistError> {
    let recipe = &run.recipe;
    let p = &recipe.preprocessing;
    let options = BuildOptions::new(run.source.class_names().len(), (p.channels(), p.height, p.width))
        .with_width(recipe.width);
    let mut graph = oculist_zoo::build(&recipe.arch, &options)?;
    oculist_zoo::initialize(&mut graph, recipe.seed);
    let count = graph.cost();
    watch.note(&format!(
        "{} parameters, {} multiply-adds per image at {}x{}x{}; {}, batch {}, learning rate {:?}",
        count_text(count.params),
        count_text(count.macs),
        p.height,
        p.width,
        p.channels(),
        counted(recipe.train.epochs, "epoch", "epochs"),
        recipe.train.batch_size,
        recipe.train.lr,
    ));
    let data = TrainingImages::new(&run.source, recipe, &recipe.train, run.cache_bytes)?;
    let phase = Phase {
        name: "baseline",
        ctx: &run.ctx,
        config: &recipe.train,
        data: &data,
        teacher: None,
        checkpoints: run.folder.file("checkpoints").join("baseline"),
        resume: run.resume,
    };
    let outcome = phase.run(&graph, watch)?;
    let epochs = counted(outcome.history.len(), "epoch", "epochs");
    let what = format!("trained {epochs}, {} of weights", bytes_text(count.param_bytes));
    run.summary.history.extend(curve("baseline", &outcome.history));
    Ok((outcome.graph, what))
}

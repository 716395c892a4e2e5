"""Prints as JSON what TensorBoard finds in each of some folders of event files; of a file, its records.

TensorBoard is there twice: `EventAccumulator`, which other tools read event files with, and the data provider that its own
pages ask, with the plugin of the tab HPARAMS on top.
"""

import io
import json
import os
import struct
import sys

from PIL import Image
from tensorboard.backend.event_processing import data_provider
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.backend.event_processing import plugin_event_multiplexer
from tensorboard.compat.proto import event_pb2
from tensorboard.compat.tensorflow_stub import errors
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups


def bits(value):
    """An f32 as its bits, so that NaN, infinities and zeros are told apart."""
    return struct.unpack("<I", struct.pack("<f", value))[0]


def records(path):
    """Every record up to the first that the reader rejects, and why it rejects that one."""
    reader = PyRecordReader_New(path)
    found = []
    while True:
        try:
            reader.GetNext()
        except errors.OutOfRangeError:
            return {"records": found, "problem": None}
        except errors.DataLossError as problem:
            return {"records": found, "problem": str(problem.message)}
        event = event_pb2.Event.FromString(reader.record())
        found.append({
            "what": event.WhichOneof("what"),
            "step": event.step,
            "time": event.wall_time,
            "version": event.file_version,
            "writer": event.source_metadata.writer,
            # Whether there is nothing that the messages do not know.
            "same": event.SerializeToString(deterministic=True) == reader.record(),
        })


def accumulated(folder):
    """By `EventAccumulator`."""
    everything = event_accumulator.STORE_EVERYTHING_SIZE_GUIDANCE
    events = event_accumulator.EventAccumulator(folder, everything).Reload()
    tags = events.Tags()
    images = {}
    for tag in tags["images"]:
        images[tag] = []
        for image in events.Images(tag):
            picture = Image.open(io.BytesIO(image.encoded_image_string))
            images[tag].append({
                "step": image.step,
                "size": [image.height, image.width],
                "decoded": [picture.height, picture.width, picture.mode],
                "pixels": list(picture.convert("RGB").tobytes()),
            })
    return {
        "version": events.file_version,
        "scalars": {tag: [[e.step, e.wall_time, bits(e.value)] for e in events.Scalars(tag)] for tag in tags["scalars"]},
        "texts": {tag: [[e.step, e.tensor_proto.string_val[0].decode()] for e in events.Tensors(tag)]
                  for tag in tags["tensors"] if events.SummaryMetadata(tag).plugin_data.plugin_name == "text"},
        "images": images,
    }


def provided(folder):
    """By what TensorBoard's pages ask; runs are the folders below."""
    runs = plugin_event_multiplexer.EventMultiplexer(tensor_size_guidance={"scalars": 1000, "text": 1000, "images": 1000})
    runs.AddRunsFromDirectory(folder)
    runs.Reload()
    data = data_provider.MultiplexerDataProvider(runs, folder)
    ctx = RequestContext()

    def steps(read, plugin):
        answer = read(ctx, experiment_id="", plugin_name=plugin, downsample=1000)
        return {run: {tag: [d.step for d in series] for tag, series in tags.items()} for run, tags in answer.items()}

    return {
        "scalars": steps(data.read_scalars, "scalars"),
        "texts": steps(data.read_tensors, "text"),
        "images": steps(data.read_blob_sequences, "images"),
        "hparams": hparams(ctx, data),
    }


def hparams(ctx, data):
    """What the tab HPARAMS shows: its columns and a row for each run."""
    context = backend_context.Context(base_plugin.TBContext(data_provider=data))
    experiment = context.experiment_from_metadata(
        ctx, "", True, context.hparams_metadata(ctx, ""), context.hparams_from_data_provider(ctx, "", None))
    columns = [{"name": info.name, "type": api_pb2.DataType.Name(info.type)} for info in experiment.hparam_infos]
    metrics = sorted(info.name.tag for info in experiment.metric_infos)
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0, slice_size=100,
        allowed_statuses=[api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING],
        col_params=[api_pb2.ColParams(metric=info.name) for info in experiment.metric_infos])
    rows = []
    for group in list_session_groups.Handler(ctx, context, "", request).run().session_groups:
        row = {name: getattr(v, v.WhichOneof("kind")) for name, v in group.hparams.items()}
        rows.append({
            "name": group.name,
            "parameters": {name: str(v) if v != v else v for name, v in row.items()},
            "metrics": {m.name.tag: [m.training_step, m.value] for m in group.metric_values},
            "status": [api_pb2.Status.Name(s.status) for s in group.sessions],
            "times": [[s.start_time_secs, s.end_time_secs] for s in group.sessions],
        })
    return {"columns": columns, "metrics": metrics, "rows": sorted(rows, key=lambda row: row["name"])}


def read(where):
    if os.path.isfile(where):
        return records(where)
    return {"accumulated": accumulated(where), "provided": provided(where)}


print(json.dumps([read(where) for where in sys.argv[1:]]))

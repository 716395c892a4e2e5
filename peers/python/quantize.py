"""The peers' int8 form of a model, by ONNX Runtime's static quantiser: quantize.py MODEL.onnx OUTPUT.onnx REDUCE

u8 activations, s8 weights per channel, as its documentation advises for x86; calibrated on the same four random images
as ours. REDUCE is 1 for 7-bit weights, which its documentation asks for on processors without VNNI, else 0.
"""

import sys
import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import networks


class Images(CalibrationDataReader):
    def __init__(self, path: str):
        value = onnx.load(path).graph.input[0]
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim][1:]
        images = networks.formula.tensor("input", (4, *shape))
        self.batches = iter([{value.name: images[i : i + 1]} for i in range(4)])

    def get_next(self):
        return next(self.batches, None)


def main() -> None:
    model, output, reduce = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as folder:
        prepared = str(Path(folder) / "prepared.onnx")
        quant_pre_process(model, prepared)
        quantize_static(
            prepared,
            output,
            Images(model),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=reduce == "1",
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


main()

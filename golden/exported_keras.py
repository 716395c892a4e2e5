"""Small Keras networks written by tf2onnx -> models/*.tf2onnx.onnx, Keras's answers -> exported_keras.json.

Run by `cargo xtask golden exported_keras`; its packages are in requirements-keras.txt. Kernels are
`u * sqrt(6 / fan_in)`, everything else follows README.md's formula by the variables' paths. Everything is computed
in f64, with the running statistics: tf2onnx folds normalisations. Gradients are those of the file's initialisers that
are a kernel, a bias or the like, transposed as the file has them. Every file is run by ONNX Runtime and compared here.
"""

import itertools
import os

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras import layers as L
from onnx import numpy_helper

import exported_common as common
import formula
import golden_json

CLASSES = 5


def conv(x, channels, side, stride=1, act=None, depthwise=False):
    """Convolution, normalisation, activation."""
    if depthwise:
        x = L.DepthwiseConv2D(side, stride, padding="same", use_bias=False)(x)
    else:
        x = L.Conv2D(channels, side, stride, padding="same", use_bias=False)(x)
    x = L.BatchNormalization(epsilon=1e-3)(x)
    return L.Activation(act)(x) if act else x


def gelu(x):
    """By erf: tf2onnx does not know the erfc of Keras's own."""
    return 0.5 * x * (1.0 + tf.math.erf(x * tf.cast(0.5**0.5, x.dtype)))


def gelu_tanh(x):
    return keras.ops.gelu(x, approximate=True)


def head(x):
    return L.Dense(CLASSES)(L.GlobalAveragePooling2D()(x))


def se_resnet(x):
    x = conv(x, 8, 3, 1, "relu")
    for channels, stride in ((8, 1), (12, 2)):
        y = conv(conv(x, channels, 3, stride, "relu"), channels, 3)
        gate = L.Dense(channels // 2, activation="relu")(L.GlobalAveragePooling2D()(y))
        gate = L.Dense(channels, activation="sigmoid")(gate)
        y = L.Multiply()([y, L.Reshape((1, 1, channels))(gate)])
        x = x if stride == 1 else conv(x, channels, 1, stride)
        x = L.ReLU()(L.Add()([x, y]))
    return head(x)


def mobilenet_v3(x):
    x = conv(x, 8, 3, 2, "hard_swish")
    y = conv(x, 16, 1, 1, "hard_swish")
    y = conv(y, 16, 5, 1, "hard_swish", depthwise=True)
    gate = L.GlobalAveragePooling2D(keepdims=True)(y)
    gate = L.Conv2D(8, 1, activation="relu")(gate)
    gate = L.Conv2D(16, 1, activation="hard_sigmoid")(gate)
    x = L.Add()([x, conv(L.Multiply()([y, gate]), 8, 1)])
    return head(conv(x, 24, 1, 1, "relu6"))


def efficientnet(x):
    x = L.ZeroPadding2D(((0, 1), (0, 1)))(L.Rescaling(2.0, 0.1)(x))
    x = L.Conv2D(8, 3, 2, padding="valid", use_bias=False)(x)
    x = L.Activation("swish")(L.BatchNormalization()(x))
    y = conv(conv(x, 24, 1, 1, "swish"), 24, 3, 1, "swish", depthwise=True)
    gate = L.Reshape((1, 1, 24))(L.GlobalAveragePooling2D()(y))
    gate = L.Conv2D(4, 1, activation="swish")(gate)
    gate = L.Conv2D(24, 1, activation="sigmoid")(gate)
    y = L.Dropout(0.2, noise_shape=(None, 1, 1, 1))(conv(L.multiply([y, gate]), 8, 1))
    return L.Dense(CLASSES, activation="softmax")(L.Dropout(0.2)(L.GlobalAveragePooling2D()(L.add([x, y]))))


def densenet(x):
    x = L.MaxPooling2D(3, 2, padding="same")(conv(x, 8, 3, 1, "relu"))
    for _ in range(2):
        for _ in range(2):
            y = L.Conv2D(8, 1, use_bias=False)(L.ReLU()(L.BatchNormalization()(x)))
            y = L.Conv2D(4, 3, padding="same", use_bias=False)(L.ReLU()(L.BatchNormalization()(y)))
            x = L.Concatenate()([x, y])
        x = L.AveragePooling2D(2)(L.Conv2D(8, 1, use_bias=False)(L.ReLU()(L.BatchNormalization()(x))))
    return head(L.ReLU()(L.BatchNormalization()(x)))


def unet(x):
    a = conv(x, 4, 3, 1, "relu")
    b = conv(L.MaxPooling2D()(a), 6, 3, 1, "relu")
    c = conv(L.MaxPooling2D()(b), 8, 3, 1, "relu")
    b = conv(L.Concatenate()([b, L.Conv2DTranspose(6, 2, 2)(c)]), 6, 3, 1, "relu")
    a = conv(L.Concatenate()([a, L.UpSampling2D(2, interpolation="bilinear")(b)]), 4, 3, 1, "relu")
    return L.Conv2D(3, 1)(a)


def convnext(x):
    x = L.LayerNormalization(epsilon=1e-6)(L.Conv2D(8, 4, 4)(x))
    y = L.LayerNormalization(epsilon=1e-6)(L.DepthwiseConv2D(7, padding="same")(x))
    x = L.Add()([x, L.Dense(8)(L.Dense(32, activation=gelu)(y))])
    x = L.Conv2D(12, 2, 2)(L.LayerNormalization(epsilon=1e-6)(x))
    return L.Dense(CLASSES)(L.LayerNormalization(epsilon=1e-6)(L.GlobalAveragePooling2D()(x)))


def vit(x):
    x = L.Reshape((16, 16))(L.Conv2D(16, 4, 4)(x))
    for _ in range(2):
        y = L.LayerNormalization(epsilon=1e-6)(x)
        x = L.Add()([x, L.MultiHeadAttention(2, 8)(y, y)])
        y = L.LayerNormalization(epsilon=1e-6)(x)
        x = L.Add()([x, L.Dense(16)(L.Dense(32, activation=gelu_tanh)(y))])
    return L.Dense(CLASSES)(L.GlobalAveragePooling1D()(L.LayerNormalization(epsilon=1e-6)(x)))


# The networks by name, with the sizes of their images.
NETS = {
    "vit": (vit, (16, 16)),
    "convnext": (convnext, (24, 16)),
    "se_resnet": (se_resnet, (9, 11)),
    "densenet": (densenet, (15, 12)),
    "unet": (unet, (12, 8)),
    "mobilenet_v3": (mobilenet_v3, (17, 15)),
    "efficientnet": (efficientnet, (16, 14)),
}


def value(name: str, shape) -> np.ndarray:
    role = name.rsplit("/", 1)[-1]
    if role == "kernel":
        # Depthwise: [kh, kw, c, 1]; of an attention's inputs [d, heads, width].
        inner = any(part in name for part in ("query", "key", "value"))
        fan_in = shape[0] if inner else np.prod(shape[:2]) if "depthwise" in name else np.prod(shape[:-1])
        return formula.tensor(name, shape) * np.float32(np.sqrt(6.0 / fan_in))
    role = {"gamma": "weight", "moving_mean": "running_mean", "moving_variance": "running_var"}.get(role, "bias")
    u = formula.tensor(name, shape)
    return {"weight": 1 + np.float32(0.2) * u, "running_var": 1 + np.float32(0.5) * u}.get(role, np.float32(0.1) * u)


def built(kind, size, dtype: str) -> keras.Model:
    keras.utils.clear_session()
    keras.config.set_floatx(dtype)
    image = keras.Input((*size, 3), name="x")
    model = keras.Model(image, kind(image))
    for variable in model.weights:
        variable.assign(value(variable.path, tuple(variable.shape)).astype(dtype))
    return model


def probabilities(model) -> bool:
    return model.layers[-1].get_config().get("activation") == "softmax"


def step(model, x):
    """Outputs, cross-entropy (the mean over images and pixels) and gradients in inference mode."""
    with tf.GradientTape() as tape:
        y = model(x, training=False)
        logs = tf.math.log(y) if probabilities(model) else tf.nn.log_softmax(y)
        rows = tf.reshape(logs, (common.BATCH, -1, y.shape[-1]))
        labels = common.labels(rows.shape[1], rows.shape[2])
        loss = -tf.reduce_mean(tf.gather(rows, labels, batch_dims=2))
    gradients = tape.gradient(loss, [v.value for v in model.trainable_weights])
    named = {v.path: g.numpy().astype(np.float64) for v, g in zip(model.trainable_weights, gradients)}
    return y.numpy(), float(loss), named


def kept(path: str, model, gradients: dict) -> dict:
    """The gradients of the variables that the file holds, under its names and in its order of axes."""
    result = {}
    for tensor in onnx.load(path).graph.initializer:
        data = numpy_helper.to_array(tensor)
        if data.dtype != np.float32 or data.size < 2:
            continue
        for variable in model.trainable_weights:
            v = np.asarray(variable.value, dtype=np.float32)
            if v.size != data.size:
                continue
            for axes in itertools.permutations(range(v.ndim)):
                if np.array_equal(v.transpose(axes).reshape(data.shape), data):
                    g = gradients[variable.path].transpose(axes).reshape(data.shape)
                    result[tensor.name] = {"variable": variable.path} | common.summary(tensor.name, g)
    return dict(sorted(result.items()))


def network(name: str, kind, size) -> dict:
    x = np.copy(formula.tensor("input", (common.BATCH, *size, 3)))
    path = os.path.join(common.FOLDER, f"{name}.tf2onnx.onnx")
    single = built(kind, size, "float32")
    signature = (tf.TensorSpec((None, *size, 3), tf.float32, name="x"),)
    tf2onnx.convert.from_keras(single, input_signature=signature, opset=17, output_path=path)
    _, _, others = step(single, x)
    model = built(kind, size, "float64")
    y, loss, gradients = step(model, x.astype(np.float64))
    common.check_file(path, x, [y])
    error = common.gradient_error(gradients, others)
    assert error < 3e-5, f"{name}: f32 gradients are {error} off; is a value close to a kink?"
    entry = {"name": name, "input_shape": list(x.shape), "outputs": common.outputs_entry([y])}
    found = kept(path, model, gradients)
    print(f"    gradients of {len(found)} initialisers, of {len(gradients)} variables; loss {loss:.4f}")
    entry["eval"] = {"loss": loss, "f32_error": float(f"{error:.1e}"), "gradients": found}
    return entry


def main() -> None:
    networks = [network(name, kind, size) for name, (kind, size) in NETS.items()]
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__, "tf2onnx": tf2onnx.__version__}
    golden_json.write("exported_keras.json", {"made_by": "golden/exported_keras.py"} | versions | {"networks": networks})


main()

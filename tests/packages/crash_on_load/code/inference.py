"""Loading ends the whole process, as a fault in a native library does."""

import os
import signal


def model_fn(model_dir):
    os.kill(os.getpid(), signal.SIGSEGV)


def predict_fn(data, model):
    return data

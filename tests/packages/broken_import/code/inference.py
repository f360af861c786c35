"""Loading fails: it imports a module that nobody has, under a name that only running the code can tell."""

import importlib

MODULES = ["a_module_that_is_not_there"]
model = importlib.import_module(MODULES[0])


def model_fn(model_dir):
    return model.load(model_dir)


def predict_fn(data, model):
    return model(data)

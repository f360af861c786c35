"""Loading fails: the import names a module that nobody has."""

import a_module_that_is_not_there


def model_fn(model_dir):
    return a_module_that_is_not_there.load(model_dir)


def predict_fn(data, model):
    return model(data)

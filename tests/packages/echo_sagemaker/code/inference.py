"""SageMaker's layout in its shortest form: no contract, the body comes back."""

import json


def model_fn(model_dir):
    return {"model_dir": model_dir}


def predict_fn(data, model):
    return data


def output_fn(prediction, accept):
    return json.dumps({"echo": prediction}), "application/json"

def upper(text):
    return {"text": text.upper()}

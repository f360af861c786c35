"""A handler that answers with what it was given."""


class Echo:
    def echo(self, text: str, times: int = 1) -> dict[str, str]:
        return {"text": text * times}

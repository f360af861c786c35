"""Where pictures are kept: Supabase's storage or S3, as the settings say."""

from typing import Protocol

from headshot.settings import Settings


class Storage(Protocol):
    """A bucket of one of them. Nothing of a picture is seen by anybody without a signed URL."""

    name: str

    def put(self, path: str, content: bytes, media_type: str) -> None:
        """Store an object, in place of one of the same path.

        Raises:
            StorageFailed: `upload_error`.
        """

    def sign(self, path: str) -> str:
        """A URL that anybody can read the object by, for as long as the settings say.

        Raises:
            StorageFailed: `signed_url_error`.
        """


def opened(settings: Settings) -> Storage:
    """The storage of the settings; it is not asked for anything yet.

    Raises:
        NotReady: it lacks what it needs to know.
    """
    if settings.storage == "s3":
        from headshot.storage.s3 import S3Storage

        return S3Storage(settings.bucket, settings.url_seconds)
    from headshot.storage.supabase import SupabaseStorage

    return SupabaseStorage(settings.supabase_url, settings.supabase_key, settings.bucket, settings.url_seconds)

"""Exchange of steering vectors: with the Hugging Face hub, and with the files of other programs."""

from tonearm.sharing.exporting import Exported, export_gguf
from tonearm.sharing.hub import Pulled, Pushed, pull, push
from tonearm.sharing.importing import import_vector

__all__ = ["Exported", "Pulled", "Pushed", "export_gguf", "import_vector", "pull", "push"]

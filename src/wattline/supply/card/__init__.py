"""The model card: everything a person must know before using the model, on one Markdown page.

The sections follow Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019), with energy added; the metadata
above them follow the Hugging Face Hub.
"""

from wattline.supply.card.evidence import Evidence
from wattline.supply.card.markdown import required, table
from wattline.supply.card.page import render

__all__ = ["Evidence", "render", "required", "table"]

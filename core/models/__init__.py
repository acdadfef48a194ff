"""Columns only, one file per aggregate."""

from core.models.account import Account, ApiKey
from core.models.analysis import Analysis, AnalysisImage
from core.models.base import Base
from core.models.batch import Batch, Dispatch
from core.models.brand import Brand
from core.models.budget import Budget, BudgetKind
from core.models.call import Call
from core.models.feature import ImageEmbedding, ImageFeatures, ImageFrame
from core.models.fetch import Fetch
from core.models.file import Blob, File
from core.models.idempotency import IdempotencyKey
from core.models.preset import OwnPreset
from core.models.reuse import Reuse
from core.models.session import ChatSession, Message
from core.models.taxonomy import Taxonomy
from core.models.webhook import Attempt, Delivery, Webhook
from core.models.worker import Worker

__all__ = [
    "Account",
    "Analysis",
    "AnalysisImage",
    "ApiKey",
    "Attempt",
    "Base",
    "Batch",
    "Blob",
    "Brand",
    "Budget",
    "BudgetKind",
    "Call",
    "ChatSession",
    "Delivery",
    "Dispatch",
    "Fetch",
    "File",
    "IdempotencyKey",
    "ImageEmbedding",
    "ImageFeatures",
    "ImageFrame",
    "Message",
    "OwnPreset",
    "Reuse",
    "Taxonomy",
    "Webhook",
    "Worker",
]

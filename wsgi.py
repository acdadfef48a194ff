"""What gunicorn serves."""

from config import settings
from core.logs import set_up
from webapp.app import create_app

set_up(settings())
app = create_app(settings())

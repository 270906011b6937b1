"""stub"""
import click
@click.command("emit-jax")
def emit_jax() -> None:
    """stub"""

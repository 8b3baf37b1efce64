"""How did each parameter come to be?"""
